"""`labctl advise`: what it prints, its document, exit codes, and what cannot be meant."""

import json
from pathlib import Path

import pytest

from tests.golden import same_as_golden
from tests.labctl.cli.fit_command import Command

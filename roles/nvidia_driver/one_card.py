"""nvidia-smi for one card while another is lost or hangs: `-i UUID` then fails for every card, `-i NUMBER` does not.

So does the distribution's own nvidia-smi 550 where the driver lists a card and answers GPU_IS_LOST for it.
"""

from labctl.rig.host_report import HANGS, MOST_HANGING, NVIDIA_SMI

ONE_CARD = rf"""one_card() {{
  uuid=$1; shift
  if said=$({NVIDIA_SMI} -i "$uuid" "$@" 2>&1); then status=0; else status=$?; fi
  case $status in 124 | 137) said="$uuid: {HANGS}" ;; esac
  case $status:$said in 124:* | 137:* | *"is lost"* | *"device handle"* | *"Unknown Error"*)
    number=0 hanging=0
    while [ $number -lt 32 ] && [ $hanging -lt {MOST_HANGING} ]; do
      if found=$({NVIDIA_SMI} --query-gpu=uuid --format=csv,noheader -i $number 2>&1); then
        hanging=0
      else
        case $? in 124 | 137) hanging=$((hanging + 1)) ;; *) hanging=0 ;; esac
      fi
      case $found in
      "$uuid")
        if {NVIDIA_SMI} -i $number "$@"; then return; else status=$?; fi
        case $status in 124 | 137) printf '%s\n' "$said" ;; esac
        return $status ;;
      *"No devices were found"*) break ;;
      esac
      number=$((number + 1))
    done ;;
  esac
  printf '%s\n' "$said"
  return $status
}}
"""
"""A function (sh): `one_card UUID ARGUMENTS…`."""
PROGRAM = "/usr/local/lib/labctl/nvidia-smi"
"""Where units find it, called as nvidia-smi is: `-i UUID ARGUMENTS…`."""
TEXT = f"""#!/bin/sh
# Managed by labctl. nvidia-smi, for `-i UUID` alone: as long as one card is lost, the other ones go by their number.
{ONE_CARD}[ "$1" = -i ] || exit 2
shift
one_card "$@"
"""

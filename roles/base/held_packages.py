"""Which installed packages are the driver's or the kernel's: updates at night leave them alone, they move together.

By source package: names alone miss libcuda1, firmware-nvidia-gsp, libnvcuvid1 and others.
"""

# Prints `driver NAME` and `kernel NAME`.
HELD_PACKAGES = r"""dpkg-query -W -f '${db:Status-Status} ${source:Package} ${Package}\n' | awk '
  $1 == "not-installed" || $1 == "config-files" { next }
  $3 == "linux-libc-dev" || $3 ~ /^linux-(base|doc|perf|cpupower|firmware)/ { next }
  $2 ~ /^(nvidia|libnvidia|xserver-xorg-video-nvidia|cuda-drivers|cuda-compat|firmware-nvidia)/ ||
  $3 ~ /^(nvidia-|libnvidia-|firmware-nvidia-|cuda-drivers)/ { print "driver", $3; next }
  $2 ~ /^linux(-signed|-meta|-restricted-modules|-hwe|-latest)?(-[a-z0-9.-]+)?$/ { print "kernel", $3 }' | sort -u"""

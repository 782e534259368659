#!/bin/sh
# A GPU host by hand, for somebody who knows every name by heart: the packages that deploy/gpu_host.py installs on
# Debian 13 with the distribution's own driver, in one go. It checks nothing, and a second run is not meant.
# gpu_host.sh install URL KEY   the packages; URL and KEY are of the repository with nvidia-container-toolkit-base
# gpu_host.sh download URL KEY  only into apt's cache
# gpu_host.sh limit WATTS       after the reboot: persistence mode, limits and CDI devices
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

packages="
ca-certificates curl kmod pciutils procps python3 unattended-upgrades systemd-timesyncd gpg
nftables
linux-headers-amd64 nvidia-kernel-dkms
libcuda1 nvidia-smi nvidia-persistenced libnvcuvid1 libnvidia-encode1
nvidia-cuda-toolkit
nvidia-container-toolkit-base
podman crun netavark aardvark-dns passt fuse-overlayfs catatonit
"

sources() {
  sed -i '/^Components:/s/$/ contrib non-free non-free-firmware/' /etc/apt/sources.list.d/debian.sources
  install -d /etc/apt/keyrings
  cp "${2#file://}" /etc/apt/keyrings/toolkit.asc
  printf 'Types: deb\nURIs: %s\nSuites: ./\nSigned-By: /etc/apt/keyrings/toolkit.asc\n' "$1" \
    >/etc/apt/sources.list.d/toolkit.sources
  apt-get -qq update
}

case $1 in
download)
  sources "$2" "$3"
  apt-get -qq -y --no-install-recommends --download-only install $packages
  ;;
install)
  sources "$2" "$3"
  apt-get -qq -y --no-install-recommends install $packages
  printf 'blacklist nouveau\n' >/etc/modprobe.d/nouveau.conf
  printf 'nvidia\nnvidia_uvm\n' >/etc/modules-load.d/nvidia.conf
  ;;
limit)
  nvidia-smi -pm 1
  nvidia-smi -pl "$2"
  nvidia-modprobe -u -c 0 || nvidia-ctk system create-device-nodes --control-devices
  install -d /etc/cdi
  nvidia-ctk cdi generate --device-name-strategy=uuid --output=/etc/cdi/nvidia.yaml
  ;;
esac

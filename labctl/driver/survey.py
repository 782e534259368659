"""One shell script that tells everything the decision looks at. It changes nothing and needs no privileges."""

# Of the driver's module for a kernel ($1), whatever its packager calls it: Debian's file is nvidia-current(-open).ko,
# for which nvidia is a name at loading alone. `nvidia_module KERNEL` prints VERSION|LICENSE, both of one modinfo: each
# unpacks the module, and that of a compressed one takes a second.
NVIDIA_MODULE = r"""
nvidia_module() {
  for name in nvidia nvidia-current nvidia-current-open; do
    modinfo -k "$1" "$name" 2>/dev/null | awk -F ': *' '$1 == "version" && v == "" { v = $2 }
      $1 == "license" && l == "" { l = $2 } END { if (v == "") exit 1; print v "|" l }' && return
  done
}
"""
# What a section is, `report` says, which reads it. Every command may be missing: a bare host has no lspci or mokutil.
SCRIPT = (
    NVIDIA_MODULE
    + r"""
# modinfo is no command of an ordinary login's on Debian.
export LC_ALL=C PATH="$PATH:/usr/sbin:/sbin"
section() { printf '\n@@labctl %s\n' "$1"; }
section name; uname -n
section os; cat /etc/os-release 2>/dev/null
section machine
echo "arch $(uname -m)"
echo "release $(uname -r)"
echo "vm $(systemd-detect-virt --vm 2>/dev/null)"
echo "container $(systemd-detect-virt --container 2>/dev/null)"
echo "version $(cat /proc/version)"
section pci
for d in /sys/bus/pci/devices/*; do
  [ "$(cat "$d/vendor" 2>/dev/null)" = 0x10de ] || continue
  held=$(readlink "$d/driver" 2>/dev/null)
  echo "${d##*/} $(cat "$d/class") $(cat "$d/device") ${held##*/}"
done
section lspci; lspci -Dnn -d 10de: 2>/dev/null
section kernels
running=$(uname -r)
for k in $( (ls /lib/modules 2>/dev/null; echo "$running") | sort -u); do
  bootable=no; [ -e "/boot/vmlinuz-$k" ] && bootable=yes
  headers=no; [ -e "/lib/modules/$k/build/Makefile" ] && headers=yes
  module=$(nvidia_module "$k")
  echo "$k|$bootable|$headers|${module:-|}"
done
section grub
grep -hs '^GRUB_DEFAULT=' /etc/default/grub /etc/default/grub.d/*.cfg
grep -as '_entry=' /boot/grub/grubenv
sed -n 's,^[[:space:]]*linux\(efi\)\{0\,1\}[[:space:]]\{1\,\}[^[:space:]]*/vmlinuz-\([^[:space:]]*\).*,kernel \2,p' \
  /boot/grub/grub.cfg 2>/dev/null | head -n 20
section secure-boot
mokutil --sb-state 2>&1
for v in /sys/firmware/efi/efivars/SecureBoot-*; do
  [ -r "$v" ] && echo "efivar $(od -An -tu1 -j4 -N1 "$v" 2>/dev/null)"
done
[ -d /sys/firmware/efi ] && echo efi
keys="/var/lib/dkms/mok.pub /var/lib/shim-signed/mok/MOK.der"
# The one that this system's dkms signs with comes first.
grep -q '^ID=ubuntu' /etc/os-release && keys="/var/lib/shim-signed/mok/MOK.der /var/lib/dkms/mok.pub"
for key in $keys; do
  [ -e "$key" ] && echo "key $key $(mokutil --test-key "$key" 2>&1 | tail -n 1)"
done
section packages
dpkg-query -W -f '${db:Status-Want}|${db:Status-Status}|${Package}|${Version}|${Maintainer}|${Section}\n' 2>/dev/null |
  awk -F'|' '$2 != "config-files" && $2 != "not-installed" &&
    ($2 != "installed" || $3 ~ /nvidia|cuda|nvcuvid|^linux-(image|headers|modules)|^dkms$/)'
section policy
names=$(dpkg-query -W -f '${Package}\n' 2>/dev/null | sed -n 's/^linux-image-\([a-z].*\)/linux-headers-\1/p')
for k in $( (ls /lib/modules 2>/dev/null; echo "$running") | sort -u); do names="$names linux-headers-$k"; done
apt-cache policy $names $(dpkg-query -W -f '${db:Status-Status} ${Package}\n' 2>/dev/null |
  sed -n 's/^installed \(.*nvidia.*\|libcuda1\|cuda-.*\)$/\1/p') 2>/dev/null
echo "lists $(ls /var/lib/apt/lists 2>/dev/null | grep -c Packages)"
section signed-modules
# Thousands of them carry a kernel's number; only those of the kernels here matter.
names=$(apt-cache pkgnames linux-modules-nvidia- 2>/dev/null)
printf '%s\n' "$names" | grep -v -e '-[0-9]*\.[0-9]*\.[0-9]*-'
for k in $(ls /lib/modules 2>/dev/null); do printf '%s\n' "$names" | grep -F -e "-$k"; done
section sources
grep -rhs 'developer.download.nvidia.com' /etc/apt/sources.list /etc/apt/sources.list.d | grep -v '^[[:space:]]*#'
section loaded; cat /proc/driver/nvidia/version 2>/dev/null
section modules; awk '{print $1}' /proc/modules 2>/dev/null | grep -E '^(nouveau|nova_core|nvidia)$'
section run-installer
for f in /usr/bin/nvidia-uninstall /usr/bin/nvidia-installer; do
  [ -e "$f" ] && ! dpkg -S "$f" >/dev/null 2>&1 && echo "$f"
done
section df; df -Pm / /boot 2>/dev/null
section initrd; ls -sk /boot/initrd.img-* 2>/dev/null
section end
"""
)

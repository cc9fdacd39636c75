// A boot image with the real Xen, a control domain of Debian's, Xen's tools and one guest kernel; run on Bochs or QEMU.

import { execFileSync, spawn } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';

export type Machine = 'bochs' | 'qemu';
export type GuestKind = 'xen-pv' | 'xen-pvh';

/** What the control domain runs; libraries are found by what these need. */
const TOOLS = ['xl', 'xenstored', 'xenconsoled', 'xen-init-dom0'];
const TOOL_FOLDER = 'usr/lib/xen-4.17/bin';
const LIBRARIES = 'usr/lib/x86_64-linux-gnu';
const MODULES = ['xen-evtchn', 'xen-gntdev', 'xen-privcmd', 'xenfs'];
/** xl ends threads, for which the C library loads this by name. */
const LOADED_BY_NAME = 'libgcc_s.so.1';
/** Debian packages whose files make up the image, by name; their libraries' packages come by name, too. */
const PACKAGES = [
  ...['xen-hypervisor-4.17-amd64', 'xen-utils-4.17', 'busybox-static', 'libc6', 'libgcc-s1'],
  ...[
    'libxencall1',
    'libxendevicemodel1',
    'libxenevtchn1',
    'libxenforeignmemory1',
    'libxengnttab1',
  ],
  ...['libxenhypfs1', 'libxenmisc4.17', 'libxenstore4', 'libxentoolcore1', 'libxentoollog1'],
  ...['libyajl2', 'libuuid1', 'liblzma5', 'libzstd1', 'zlib1g'],
];
/** The control domain says so when all is done. */
const DONE = 'ALL-DONE';
/** A guest that has not said anything for so long waits for what does not come, and is ended. */
const STILL_SECONDS = 90;
/** The next program begins behind the one that has ended the domain; the numbers of programs are in hexadecimal. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin LD_LIBRARY_PATH=/${LIBRARIES}
mount -t proc none /proc; mount -t sysfs none /sys; mount -t devtmpfs none /dev; mount -t tmpfs none /run
mkdir -p /dev/pts /var/run/xen /var/run/xenstored /run/xen /run/xenstored /var/lib/xen /var/log/xen/console
mount -t devpts none /dev/pts
for m in ${MODULES.join(' ')}; do insmod /$m.ko; done
mount -t xenfs none /proc/xen
xenstored
xen-init-dom0
xenconsoled --log=guest --log-dir=/var/log/xen/console
log=/var/log/xen/console/guest-t.log
n=0
while :; do
  rm -f $log
  printf 'name="t"\\nkernel="/guest.elf"\\ntype="TYPE"\\nmemory=64\\ncmdline="first=%d"\\non_crash="destroy"\\non_reboot="destroy"\\n' $n > /t.cfg
  xl create -F /t.cfg < /dev/null > /xl.log 2>&1 &
  creator=$!; still=0; size=0
  while kill -0 $creator 2> /dev/null; do
    sleep 1
    before=$size; size=$(wc -c 2> /dev/null < $log || echo $before)
    still=$((still + 1))
    [ $size = $before ] || { still=0; head -c $size $log | tail -c +$((before + 1)); }
    [ $still = ${STILL_SECONDS} ] && xl destroy t
  done
  tail -c +$((size + 1)) $log
  grep -q '^[.]' $log && break
  last=$(grep '^#' $log | tail -1 | cut -d' ' -f1 | tr -d '#\\r')
  [ -z "$last" ] && last=$(printf %x $((n - 1)))
  n=$((0x$last + 2))
  [ $n -gt COUNT ] && break
done
echo ${DONE}
echo o > /proc/sysrq-trigger
sleep 100
`;
const GRUB = `set timeout=0
terminal_output console
set gfxpayload=text
menuentry xen {
  multiboot /boot/xen.gz com1=115200,8n1 console=com1 dom0_mem=384M dom0_max_vcpus=1 loglvl=error
  module /boot/vmlinuz kernel console=hvc0 quiet
  module /boot/initrd.gz
}
`;
const BOCHSRC = `plugin_ctrl: unmapped=1, biosdev=1, serial=1, speaker=0, extfpuirq=0, parallel=0, e1000=0, gameport=0
config_interface: textconfig
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_haswell_4770, count=1, ips=20000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest=768, host=768
ata0-master: type=cdrom, path=image.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial
log: log
panic: action=fatal
clock: sync=none
`;
/**
 * QEMU 7.2 returns wrongly from interrupts under SMAP, so it is run without. PVH needs a processor with SVM and nested paging,
 * and waits, for which Xen uses a form of MWAIT that QEMU has not.
 */
const QEMU_CPU = {
  'xen-pv': 'max,-smap,-smep,-la57',
  'xen-pvh': 'EPYC,+svm,+npt,-smap,-smep,-monitor',
};
const qemuArguments = (kind: GuestKind): readonly string[] => [
  ...['-accel', 'tcg', '-cpu', QEMU_CPU[kind], '-m', '768', '-nodefaults', '-display', 'none'],
  ...['-no-reboot', '-serial', 'file:serial', '-cdrom', 'image.iso'],
];

export function commandLine(machine: Machine, kind: GuestKind): string {
  if (machine === 'qemu') return `qemu-system-x86_64 ${qemuArguments(kind).join(' ')}`;
  return `bochs -q -f bochsrc -rc commands; bochsrc: ${/cpu: .*/.exec(BOCHSRC)?.[0]}`;
}

/** Version of the Debian package of the hypervisor in the folder. */
export function hypervisorVersion(folder: string): string {
  const file = readdirSync(folder).find((name) => name.startsWith('xen-hypervisor-')) ?? '';
  return decodeURIComponent(file.split('_')[1] ?? '');
}

/** Fetches the packages and makes `image.iso` in the folder. `kernelPackage`: a file of Debian's linux-image-amd64. */
export function makeImage(folder: string, kind: GuestKind, guest: Uint8Array, count: number): void {
  const run = (program: string, ...args: string[]) =>
    execFileSync(program, args, { cwd: folder, stdio: ['ignore', 'pipe', 'ignore'] }).toString();
  const image = /Depends: (linux-image-\S+)/.exec(run('apt-cache', 'depends', 'linux-image-amd64'));
  const kernel = image?.[1] ?? 'linux-image-amd64';
  if (!existsSync(join(folder, 'root'))) {
    run('apt-get', 'download', kernel, ...PACKAGES);
    for (const name of readdirSync(folder).filter((file) => file.endsWith('.deb')))
      run('dpkg', '-x', name, 'root');
  }
  const from = join(folder, 'root');
  const to = join(folder, 'initrd');
  rmSync(to, { recursive: true, force: true });
  for (const path of ['bin', 'lib64', 'proc', 'sys', 'dev', 'run', LIBRARIES, 'var/log'])
    mkdirSync(join(to, path), { recursive: true });
  symlinkSync('usr/lib', join(to, 'lib'));
  copyFileSync(join(from, 'bin/busybox'), join(to, 'bin/busybox'));
  const loader = 'lib64/ld-linux-x86-64.so.2';
  copyFileSync(realpathSync(join(from, loader)), join(to, loader));
  const found = (name: string) => run('find', 'root', '-name', name).split('\n')[0] ?? '';
  for (const tool of TOOLS) copyFileSync(join(from, TOOL_FOLDER, tool), join(to, 'bin', tool));
  const needed = new Set([LOADED_BY_NAME]);
  const look = (file: string) => {
    for (const [, name = ''] of run('objdump', '-p', file).matchAll(/NEEDED\s+(\S+)/g))
      needed.add(name);
  };
  for (const tool of TOOLS) look(join(to, 'bin', tool));
  for (const name of needed) {
    const source = found(name);
    if (source === '' || basename(loader) === name) continue;
    copyFileSync(realpathSync(join(folder, source)), join(to, LIBRARIES, name));
    look(join(to, LIBRARIES, name));
  }
  for (const name of MODULES)
    copyFileSync(join(folder, found(`${name}.ko`)), join(to, `${name}.ko`));
  writeFileSync(join(to, 'guest.elf'), guest);
  writeFileSync(
    join(to, 'init'),
    INIT.replace('COUNT', String(count)).replace('TYPE', kind.slice(4)),
  );
  chmodSync(join(to, 'init'), 0o755);
  const boot = join(folder, 'iso/boot');
  mkdirSync(join(boot, 'grub'), { recursive: true });
  copyFileSync(join(folder, found('xen-4.17-amd64.gz')), join(boot, 'xen.gz'));
  copyFileSync(join(folder, found('vmlinuz-*')), join(boot, 'vmlinuz'));
  writeFileSync(join(boot, 'grub/grub.cfg'), GRUB);
  run('sh', '-c', 'cd initrd && find . | cpio -o -H newc | gzip -1 > ../iso/boot/initrd.gz');
  run('grub-mkrescue', '-o', 'image.iso', 'iso');
}

/** What came over the serial line until the control domain said that it is done, or `seconds` were over. */
export async function boot(
  folder: string,
  machine: Machine,
  kind: GuestKind,
  seconds: number,
): Promise<string> {
  writeFileSync(join(folder, 'bochsrc'), BOCHSRC);
  writeFileSync(join(folder, 'commands'), 'c\n');
  const serial = join(folder, 'serial');
  rmSync(serial, { force: true });
  const [program, args] =
    machine === 'qemu'
      ? (['qemu-system-x86_64', qemuArguments(kind)] as const)
      : (['bochs', ['-q', '-unlock', '-f', 'bochsrc', '-rc', 'commands']] as const);
  const child = spawn(program, args, {
    cwd: folder,
    detached: true,
    env: { ...process.env, TERM: 'xterm' },
    stdio: 'ignore',
  });
  const said = () => (existsSync(serial) ? readFileSync(serial, 'latin1') : '');
  let running = true;
  child.on('exit', () => {
    running = false;
  });
  for (let n = 0; n < seconds && running && !said().includes(DONE); n++)
    await new Promise((resolve) => setTimeout(resolve, 1000));
  // Debian's bochs is a script around the program: both go.
  if (running && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  return said();
}

// The initramfs of pvops: busybox, device nodes and an init that reports its uptime and then offers a shell.
import { type CpioEntry, writeCpio } from './archive/cpio.ts';
import { utf8Bytes } from './bytes.ts';
import type { ModuleSet } from './modules.ts';

export interface InitramfsFile {
  /** Absolute path in the guest, e.g. `/bench/loop`. */
  readonly path: string;
  readonly bytes: Uint8Array;
  /** Permission bits; 0o755 when left out. */
  readonly mode?: number;
}

export interface InitramfsOptions {
  /** A statically linked busybox with the applets sh, mount, init, setsid, cttyhack and poweroff. */
  readonly busybox: Uint8Array;
  readonly files?: readonly InitramfsFile[];
  /** Kernel modules, loaded after INIT-UP and before `script`. */
  readonly modules?: ModuleSet;
  /** Shell commands that run after INIT-UP, before the shell is offered. */
  readonly script?: string;
  /** Power off after INIT-UP (and after `script`) instead of offering a shell, as `pvops.exit` does on the command line. */
  readonly exit?: boolean;
}

/** What init prints before the uptime; `pvops run` waits for it. */
export const INIT_UP = 'INIT-UP';

const SHELL_PATH = '/bin:/sbin:/usr/bin:/usr/sbin';

// Only builtins come before the report: each process would cost a fork, an exec and thousands of page faults.
// The command line is read into a variable because `pvops.exit` has a dot, so the kernel hands it to no one's environment.
const INIT = `#!/bin/busybox sh
/bin/busybox mount -t proc proc /proc
read -r up idle < /proc/uptime
echo "${INIT_UP} uptime=$up"
read -r cmdline < /proc/cmdline
case " $cmdline " in *" pvops.exit "*) pvops_exit=1 ;; esac
if [ -n "$pvops_exit" ] && [ ! -e /etc/pvops-script ]; then exec /bin/busybox poweroff -f; fi
/bin/busybox --install -s /bin
export PATH=${SHELL_PATH} HOME=/root TERM=\${TERM:-linux} ENV=/etc/shrc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev 2>/dev/null
mkdir -p /dev/pts
mount -t devpts devpts /dev/pts 2>/dev/null
if [ -e /etc/pvops-modules ]; then modprobe -a $(cat /etc/pvops-modules); fi
if [ -e /etc/pvops-script ]; then sh /etc/pvops-script; fi
if [ -n "$pvops_exit" ]; then exec poweroff -f; fi
exec init
`;

// busybox init as PID 1 answers the signals by which poweroff and reboot ask it; `once` because the shell's end is the run's end.
const INITTAB = `::once:/etc/console
::ctrlaltdel:/bin/busybox reboot -f
`;

// cttyhack finds the real terminal behind /dev/console, which cannot be a controlling terminal: without one there is no Ctrl-C.
const CONSOLE = `#!/bin/busybox sh
cd /root
setsid cttyhack sh
exec poweroff -f
`;

// At once rather than through init, which waits two seconds for processes to end.
const SHRC = `PS1='\\w # '
poweroff() { busybox poweroff -f "$@"; }
halt() { busybox poweroff -f "$@"; }
reboot() { busybox reboot -f "$@"; }
`;

const DIRECTORIES = [
  'bin',
  'dev',
  'etc',
  'mnt',
  'proc',
  'root',
  'run',
  'sbin',
  'sys',
  'tmp',
  'usr',
];

/** What the kernel runs by these paths when it is asked to go down from outside (Linux kernel/reboot.c, orderly_poweroff). */
const CALLED_BY_KERNEL = ['poweroff', 'reboot'] as const;

/** Character devices for kernels without devtmpfs: name, major, minor (Linux Documentation/admin-guide/devices.txt). */
const NODES: readonly (readonly [string, number, number])[] = [
  ['console', 5, 1],
  ['hvc0', 229, 0],
  ['null', 1, 3],
  ['ptmx', 5, 2],
  ['random', 1, 8],
  ['tty', 5, 0],
  ['tty0', 4, 0],
  ['ttyS0', 4, 64],
  ['urandom', 1, 9],
  ['zero', 1, 5],
];

/** Packs an uncompressed newc archive; the same options give the same bytes. */
export function buildInitramfs(options: InitramfsOptions): Uint8Array {
  const entries = new Map<string, CpioEntry>();
  const put = (entry: CpioEntry) => entries.set(entry.path, entry);
  const file = (path: string, mode: number, bytes: Uint8Array) => {
    for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1)) {
      const parent = path.slice(0, at);
      if (!entries.has(parent)) put({ kind: 'directory', path: parent, mode: 0o755 });
    }
    put({ kind: 'file', path, mode, bytes });
  };
  for (const path of DIRECTORIES) put({ kind: 'directory', path, mode: 0o755 });
  for (const [name, major, minor] of NODES) {
    put({ kind: 'char', path: `dev/${name}`, mode: 0o600, major, minor });
  }
  file('bin/busybox', 0o755, options.busybox);
  put({ kind: 'symlink', path: 'bin/sh', target: 'busybox' });
  for (const name of CALLED_BY_KERNEL)
    put({ kind: 'symlink', path: `sbin/${name}`, target: '../bin/busybox' });
  const init = options.exit
    ? INIT.replace('\nread -r cmdline', '\npvops_exit=1\nread -r cmdline')
    : INIT;
  file('init', 0o755, utf8Bytes(init));
  file('etc/inittab', 0o644, utf8Bytes(INITTAB));
  file('etc/console', 0o755, utf8Bytes(CONSOLE));
  file('etc/shrc', 0o644, utf8Bytes(SHRC));
  if (options.script !== undefined) file('etc/pvops-script', 0o755, utf8Bytes(options.script));
  const { names = [], files: moduleFiles = [] } = options.modules ?? {};
  if (names.length > 0) file('etc/pvops-modules', 0o644, utf8Bytes(`${names.join('\n')}\n`));
  for (const { path, bytes, mode } of [...(options.files ?? []), ...moduleFiles]) {
    file(path.replace(/^\/+/, ''), mode ?? 0o755, bytes);
  }
  return writeCpio([...entries.values()]);
}

// Machines that are not ours and need nothing but themselves: how QEMU and Bochs boot the probe kernel, and what they say.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface Peer {
  /** Null: it is not installed here. */
  version(): string | null;
  /** `kernel` is the name of the file. */
  command(kernel: string): string;
  /** What came over the serial line. The folder is empty, and its own. */
  run(folder: string, kernel: Uint8Array): string;
}

/** A machine that does not switch itself off is stopped. */
const SECONDS_MAX = 120;

const QEMU = 'qemu-system-x86_64';
const QEMU_ARGUMENTS = [
  ...['-accel', 'tcg', '-cpu', 'max', '-m', '32', '-nodefaults', '-display', 'none', '-no-reboot'],
  ...['-serial', 'stdio', '-monitor', 'none', '-kernel'],
];

export const qemu: Peer = {
  version: () => firstLine(QEMU, ['--version'], /^QEMU .*/m),
  command: (kernel) => `${QEMU} ${QEMU_ARGUMENTS.join(' ')} ${kernel}`,
  run(folder, kernel) {
    const path = join(folder, 'probe.elf');
    writeFileSync(path, kernel);
    return stopped(QEMU, [...QEMU_ARGUMENTS, path], folder);
  },
};

const BOCHS_CPU = 'cpu: model=corei7_icelake_u, count=1, ips=2000000, reset_on_triple_fault=0';
const BOCHSRC = `plugin_ctrl: unmapped=1, biosdev=1, serial=1, speaker=0, extfpuirq=0, parallel=0, e1000=0, gameport=0
config_interface: textconfig
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
${BOCHS_CPU}, ignore_bad_msrs=0
memory: guest=32, host=32
ata0-master: type=cdrom, path=image.iso, status=inserted
boot: cdrom
com1: enabled=1, mode=file, dev=serial
log: log
panic: action=fatal
clock: sync=none
`;
/** GRUB's own loader of multiboot kernels. */
const GRUB = `set timeout=0
terminal_output console
set gfxpayload=text
menuentry probe {
  multiboot /boot/probe.elf
}
`;

export const bochs: Peer = {
  version() {
    const grub = firstLine('grub-mkrescue', ['--version'], /\(GRUB\) .*/);
    const own = firstLine('bochs', ['--help'], /Bochs x86 Emulator [\d.]+/);
    return grub === null || own === null ? null : `${own}, ${grub}`;
  },
  command: (kernel) =>
    `bochs -q -f bochsrc -rc commands; bochsrc: ${BOCHS_CPU}; cdrom: grub-mkrescue, multiboot ${kernel}`,
  run(folder, kernel) {
    const boot = join(folder, 'iso/boot');
    mkdirSync(join(boot, 'grub'), { recursive: true });
    writeFileSync(join(boot, 'probe.elf'), kernel);
    writeFileSync(join(boot, 'grub/grub.cfg'), GRUB);
    writeFileSync(join(folder, 'bochsrc'), BOCHSRC);
    // Debian's Bochs has its debugger built in, which waits to be told to continue.
    writeFileSync(join(folder, 'commands'), 'c\n');
    spawnSync('grub-mkrescue', ['-o', 'image.iso', 'iso'], { cwd: folder, stdio: 'ignore' });
    stopped('bochs', ['-q', '-unlock', '-f', 'bochsrc', '-rc', 'commands'], folder);
    const serial = join(folder, 'serial');
    return existsSync(serial) ? readFileSync(serial, 'latin1') : '';
  },
};

/** What the program prints until it ends, or is ended with all that it has started: Debian's bochs is a script. */
function stopped(program: string, args: readonly string[], cwd: string): string {
  return spawnSync('timeout', ['-k', '1', String(SECONDS_MAX), program, ...args], {
    cwd,
    encoding: 'latin1',
    env: { ...process.env, TERM: 'xterm' },
    stdio: ['ignore', 'pipe', 'ignore'],
  }).stdout;
}

function firstLine(program: string, args: readonly string[], what: RegExp): string | null {
  const { stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8' });
  return error ? null : (what.exec(`${stdout}${stderr}`)?.[0] ?? null);
}

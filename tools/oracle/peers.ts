// How Bochs and QEMU are run on a disk image so that they write their serial line to a file and stop.

import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Peer } from '../../tests/oracle/recording.ts';

/** Milliseconds: how often a machine is looked at, and after how long without a word it is stuck in a program. */
const POLL = 100;
const SILENCE = 5_000;
/** Bochs wants whole cylinders: 16 heads of 63 sectors. */
const CYLINDER = 16 * 63 * 512;

const QEMU = [
  ...['-accel', 'tcg', '-cpu', 'max', '-m', '32', '-nodefaults', '-display', 'none', '-no-reboot'],
  ...['-device', 'isa-debug-exit,iobase=0xf4,iosize=1', '-serial', 'file:serial'],
  ...['-drive', 'file=disk,format=raw,if=ide'],
];

const BOCHSRC = `plugin_ctrl: unmapped=1, biosdev=1, serial=1, speaker=0, extfpuirq=0, parallel=0, e1000=0, gameport=0
config_interface: textconfig
display_library: term
romimage: file=/usr/share/bochs/BIOS-bochs-latest
vgaromimage: file=/usr/share/bochs/VGABIOS-lgpl-latest
cpu: model=corei7_icelake_u, count=1, ips=2000000, reset_on_triple_fault=0, ignore_bad_msrs=0
memory: guest=32, host=32
ata0-master: type=disk, path=disk, mode=flat, cylinders=0, heads=16, spt=63
boot: disk
com1: enabled=1, mode=file, dev=serial
log: log
panic: action=fatal
clock: sync=none
`;

export function commandLine(peer: Peer): string {
  if (peer === 'qemu') return `qemu-system-x86_64 ${QEMU.join(' ')}`;
  return `bochs -q -f bochsrc -rc commands; bochsrc: ${/cpu: .*/.exec(BOCHSRC)?.[0]}`;
}

export function versionOf(peer: Peer): string {
  if (peer === 'bochs') {
    const { stdout, stderr } = spawnSync('bochs', ['--help'], { encoding: 'utf8' });
    return /Bochs x86 Emulator [\d.]+/.exec(stdout + stderr)?.[0] ?? 'Bochs';
  }
  const { stdout } = spawnSync('qemu-system-x86_64', ['--version'], { encoding: 'utf8' });
  return stdout.split('\n', 1)[0] ?? 'QEMU';
}

/** What came over the serial line until the machine stopped. */
export async function runPeer(peer: Peer, folder: string, disk: Uint8Array): Promise<string> {
  const whole = new Uint8Array(Math.ceil(disk.length / CYLINDER) * CYLINDER);
  whole.set(disk);
  writeFileSync(join(folder, 'disk'), whole);
  writeFileSync(join(folder, 'bochsrc'), BOCHSRC);
  // Debian's Bochs has its debugger built in, which waits to be told to continue.
  writeFileSync(join(folder, 'commands'), 'c\n');
  const serial = join(folder, 'serial');
  rmSync(serial, { force: true });
  const [program, args] =
    peer === 'qemu'
      ? (['qemu-system-x86_64', QEMU] as const)
      : (['bochs', ['-q', '-unlock', '-f', 'bochsrc', '-rc', 'commands']] as const);
  const child = spawn(program, args, {
    cwd: folder,
    env: { ...process.env, TERM: 'xterm' },
    stdio: 'ignore',
  });
  await untilSilent(child, () => (existsSync(serial) ? statSync(serial).size : 0));
  return existsSync(serial) ? readFileSync(serial, 'latin1') : '';
}

/** Waits for the end of the machine, and makes it one when nothing has been said for a while. */
function untilSilent(child: ChildProcess, said: () => number): Promise<void> {
  let size = 0;
  let silent = 0;
  return new Promise((resolve, reject) => {
    const timer = setInterval(() => {
      silent = said() === size ? silent + POLL : 0;
      size = said();
      if (silent > SILENCE) child.kill('SIGKILL');
    }, POLL);
    child.on('error', reject);
    child.on('exit', () => {
      clearInterval(timer);
      resolve();
    });
  });
}

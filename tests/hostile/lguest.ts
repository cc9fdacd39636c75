// An lguest guest of nonsense: its code, and calls, faults and interrupts by themselves; what the host must keep is checked.

import type { PolicyExit } from '../../src/cpu/border.ts';
import type { Cpu } from '../../src/cpu/core.ts';
import { POLICY_INT } from '../../src/cpu/policy.ts';
import { LHCALL, lguestData, SWITCHER_ADDR } from '../../src/hypervisors/lguest/abi.ts';
import { DEVICE_BYTES } from '../../src/hypervisors/lguest/device-page.ts';
import { PAGE_OFFSET } from '../../src/hypervisors/lguest/first-tables.ts';
import { lguest } from '../../src/hypervisors/lguest/index.ts';
import { CODE_AT, elf32 } from '../../src/hypervisors/lguest/testing/lguest-guest.ts';
import { type BareGuest, bareGuest } from '../../src/hypervisors/testing/bare-guest.ts';
import { type KernelImage, openKernel } from '../../src/image/index.ts';
import { memoryStore, openDisk } from '../../src/machine/disk.ts';
import type { GuestRam } from '../../src/machine/memory.ts';
import { Chance } from './chance.ts';
import { snippet } from './program.ts';
import { putBack } from './put-back.ts';

const MEMORY = 4 << 20;
const DISK_BYTES = 64 << 10;
/** Steps between two looks at what the host must keep. */
const LOOK = 8;
const LIMIT = MEMORY + DEVICE_BYTES;
const PAGE = 4096;
const DATA_AT = 0x20_0000;
const [EAX, ECX, EDX, EBX, ESP, ESI] = [0, 1, 2, 3, 4, 6];
const CALL_NUMBERS = Object.values(LHCALL);
const VECTORS = [0, 1, 3, 6, 7, 13, 14, 17] as const;
const CODE_BYTES = 0x4000;
const PIECE_BYTES = 64;
const PIECES = 1024;
const STATE_MAX = 1 << 20;

/** One machine, put back for each seed. */
export class LguestCalls {
  private readonly guest: BareGuest;
  private readonly disk = new Uint8Array(DISK_BYTES);
  private readonly reset: (ramBytes?: number) => void;
  private readonly size: number;

  constructor(version: string) {
    this.guest = bareGuest(lguest, {
      memoryBytes: MEMORY,
      version,
      engine: 'interpreter',
      disks: [openDisk(memoryStore(this.disk), 'read-write', 'disk')],
      nets: ['link'],
      transmit: () => {},
    });
    const { cpu, snapshots } = this.guest;
    // Frames of the host's are emptied when they are taken.
    this.reset = putBack(cpu, snapshots, LIMIT);
    this.size = snapshots.bytes().length;
  }

  /** Null if all went well, else what the host has lost. */
  drive(chance: Chance, steps: number): string | null {
    const { guest } = this;
    const pae = chance.oneIn(2);
    const kernel = openKernel(elf32(codeOf(chance), { pae }), 'nonsense');
    this.disk.fill(0);
    this.reset();
    this.start(kernel, chance);
    for (let n = 0; n < steps; n++) {
      if (guest.machine.parts.power.state !== 'running') this.start(kernel, chance);
      step(guest, chance);
      const lost = n % LOOK === 0 ? wrong(guest, pae) : null;
      if (lost !== null) return `${lost}, after step ${n}`;
    }
    const grown = guest.snapshots.bytes().length - this.size;
    return grown > STATE_MAX ? `a state grown by ${grown} bytes` : null;
  }

  private start(kernel: KernelImage, chance: Chance): void {
    const { guest } = this;
    this.reset(0);
    guest.attached.start({ kernel, initrd: null, commandLine: '' });
    if (chance.oneIn(16)) return;
    call(guest, [LHCALL.LGUEST_INIT, DATA_AT, 0, 0, 0]);
    // Handlers somewhere in its code, so that it lives on.
    for (const vector of VECTORS)
      call(guest, [LHCALL.LOAD_IDT_ENTRY, vector, chance.below(CODE_BYTES), 0x10ee00, 0]);
    guest.cpu.state.setGpr32(ESP, PAGE_OFFSET + DATA_AT);
    guest.cpu.state.setVa('rip', CODE_AT);
  }
}

/** Instructions of every form, made once: to assemble them takes longer than to run them. */
let pieces: readonly Uint8Array[] = [];

/** One behind the other, those that the seed picks. */
function codeOf(chance: Chance): Uint8Array {
  if (pieces.length === 0) {
    const maker = new Chance(0);
    pieces = Array.from({ length: PIECES }, () => snippet(maker, 32).subarray(0, PIECE_BYTES));
  }
  const code = new Uint8Array(CODE_BYTES).fill(0x90);
  for (let at = 0; at < CODE_BYTES - PIECE_BYTES; ) {
    const piece = chance.pick(pieces);
    code.set(piece, at);
    at += piece.length;
  }
  return code;
}

function step(made: BareGuest, chance: Chance): void {
  const { cpu, ram, attached, machine } = made;
  switch (chance.below(8)) {
    case 0:
      return scribble(ram, chance);
    case 1:
      return exit(made, {
        kind: 'exception',
        vector: chance.pick(VECTORS),
        error: chance.below(32),
        address: address(chance),
      });
    case 2:
      for (const register of [ESP, EBX, ECX]) cpu.state.setGpr32(register, address(chance));
      cpu.state.setVa('rip', address(chance));
      return;
    case 3:
      machine.run({ instructions: chance.below(chance.oneIn(32) ? 5000 : 64) });
      return;
    case 4:
      attached.enter?.();
      return;
    default:
      return call(made, words(chance));
  }
}

/** INT 0x1f in ring 1. */
function call(made: BareGuest, [eax, ebx, ecx, edx, esi]: readonly number[]): void {
  const { state } = made.cpu;
  for (const [register, value] of [
    [EAX, eax],
    [EBX, ebx],
    [ECX, ecx],
    [EDX, edx],
    [ESI, esi],
  ] as const)
    state.setGpr32(register!, value! >>> 0);
  state.set('cpl', 1);
  const { u32 } = state.views;
  u32[argAt(made.cpu, 0)] = 0x1f;
  u32[argAt(made.cpu, 1)] = 0;
  exit(made, { kind: 'instruction', policy: POLICY_INT, bytes: 2 });
}

function exit({ attached, machine }: BareGuest, what: PolicyExit): void {
  if (machine.parts.power.state !== 'running') return;
  attached.exit!(what);
  attached.enter!();
}

const argAt = (cpu: Cpu, n: number) => (cpu.state.base + 0x580 + 16 * n) >>> 2;

function words(chance: Chance): number[] {
  const number = chance.oneIn(16) ? chance.value() : chance.pick(CALL_NUMBERS);
  // A guest that ends itself at once has little to try.
  const kept =
    number === LHCALL.LGUEST_INIT || number === LHCALL.SHUTDOWN ? chance.oneIn(32) : true;
  const args = Array.from({ length: 4 }, () =>
    chance.oneIn(3) ? chance.value() : chance.oneIn(3) ? chance.below(40) : address(chance),
  );
  return [kept ? number : LHCALL.FLUSH_TLB, ...args];
}

/** Somewhere that matters: tables, data, device page, their edges. */
function address(chance: Chance): number {
  const base = chance.pick([
    0,
    DATA_AT,
    MEMORY - 0x6000,
    MEMORY,
    LIMIT - PAGE,
    PAGE_OFFSET,
    0xffc00000,
    0xffe01000,
  ]);
  return (base + (chance.oneIn(2) ? PAGE * chance.below(8) : chance.below(0x6000))) >>> 0;
}

function scribble(ram: GuestRam, chance: Chance): void {
  const at = address(chance);
  const place = at >= PAGE_OFFSET ? at - PAGE_OFFSET : at;
  if (place + 4 > LIMIT) return;
  const entry = (PAGE * chance.below(LIMIT / PAGE + 8)) | chance.pick([0, 1, 3, 5, 7, 0x67, 0x87]);
  ram.setU32(place & ~3, chance.oneIn(2) ? entry : chance.value());
  if (chance.oneIn(4))
    ram.setU8(DATA_AT + lguestData.offsetOf('hcall_status') + chance.below(64), 0);
  if (chance.oneIn(2)) ram.setU32(DATA_AT, chance.pick([0, 0x200]));
}

/** The guest runs in its ring, reaches its own frames only, and has the descriptors that it may have. */
function wrong({ cpu, ram }: BareGuest, pae: boolean): string | null {
  if (cpu.state.get('cpl') === 0) return 'the guest is in ring 0';
  const root = cpu.state.getVa('cr3') / PAGE;
  if (root * PAGE < LIMIT || root * PAGE >= ram.bytes) return `a root at frame ${root}`;
  const gdt = LIMIT;
  for (let n = 0; n < 32; n++) {
    const hi = ram.u32(gdt + 8 * n + 4);
    if (hi !== 0 && ((hi & 0x6000) === 0 || (hi & 0x1000) === 0))
      return `descriptor ${n}: 0x${hi.toString(16)}`;
  }
  return wrongTable(ram, root, pae ? 3 : 2, 0, pae);
}

function wrongTable(
  ram: GuestRam,
  table: number,
  level: number,
  va: number,
  pae: boolean,
): string | null {
  const bytes = pae ? 8 : 4;
  const entries = level === 3 ? 4 : PAGE / bytes;
  const shift = pae ? 9 * level + 3 : 10 * level + 2;
  for (let n = 0; n < entries; n++) {
    const entry = ram.u32(table * PAGE + n * bytes);
    if ((entry & 1) === 0) continue;
    const at = (va + n * 2 ** shift) >>> 0;
    const gpa = entry - (entry & 0xfff);
    const own = at >= SWITCHER_ADDR[pae ? 'pae' : 'plain'];
    if (level === 1) {
      if (own ? (entry & 6) !== 0 : gpa >= LIMIT)
        return `the shadow maps 0x${at.toString(16)} by 0x${entry.toString(16)}`;
      continue;
    }
    if (gpa < LIMIT) return `a shadow table in the guest's memory: 0x${entry.toString(16)}`;
    const below = wrongTable(ram, gpa / PAGE, level - 1, at, pae);
    if (below !== null) return below;
  }
  return null;
}

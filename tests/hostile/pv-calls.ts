// A Xen PV domain driven with nonsense: calls, stores to its page tables, segments, returns; one machine, put back for each seed.

import { bug } from '../../src/base/errors.ts';
import { Assembler } from '../../src/cpu/asm.ts';
import { FLAT_CODE32, FLAT_DATA, setSegmentTo } from '../../src/cpu/descriptors.ts';
import { ATTR_DPL_SHIFT, STATE_BYTES } from '../../src/cpu/state.ts';
import { type BareGuest, bareGuest } from '../../src/hypervisors/testing/bare-guest.ts';
import { xenPv } from '../../src/hypervisors/xen-pv/index.ts';
import { permuteFrames } from '../../src/hypervisors/xen-pv/machine-frames.ts';
import {
  CODE_AT,
  elfWith,
  PAGES_AT,
  VIRT_BASE,
} from '../../src/hypervisors/xen-pv/testing/pv-guest.ts';
import { elf32With, VIRT_BASE_32 } from '../../src/hypervisors/xen-pv/testing/pv32-guest.ts';
import { openKernel } from '../../src/image/index.ts';
import type { Snapshot } from '../../src/machine/snapshot.ts';
import type { Chance } from './chance.ts';
import { auditFrames } from './pv-audit.ts';

const MEMORY = 4 << 20;
const SEED = 7;
const PAGE = 4096;
/** Pages for structures, and with them those that become tables. */
const DATA_PAGES = 16;
const STACK_PAGE = 40;
const PREPARED_PAGE = 41;
const CS1 = 0xe019;
const VECTORS = [...Array.from({ length: 32 }, (_, n) => n), 0x80];
const CALLBACKS = [0, 1, 7];
const HYPERVISOR_set_trap_table = 0;
const HYPERVISOR_stack_switch = 3;
const HYPERVISOR_callback_op = 30;
const NUMBERS = 44;
/** iret, sched_op: they soon end it. */
const ENDING = [23, 29];
const SELF = 0x7ff0n;
const WORDS_EACH = 6;
const STUB_BYTES = 16;
const CS = 1;
const SS = 2;
const RSP = 4;
const RBX = 3;
const RAX = 0;
const ARGUMENTS = { wide: [7, 6, 2, 10, 8, 9], narrow: [3, 1, 2, 6, 7, 5] } as const;
const POINTERS = [0, -1, 0x7fff_ffff_f000, -0x8000_0000_0000, -0x7800_0000_0000, 0xf580_0000, -8];

/** What the domain does in one step, by its first line; most often a call. */
const STUBS = {
  wide: [
    'syscall',
    'mov [rbx], rax',
    'mov [rbx], eax',
    'xchg [rbx], rax',
    'lock btr qword ptr [rbx], 1',
    'mov gs, ax',
    'int 0x80',
    'mov cr3, rax',
    'wrmsr',
  ],
  narrow: [
    'int 0x82',
    'mov [ebx], eax',
    'mov [ebx], ax',
    'xchg [ebx], eax',
    'lock cmpxchg8b [ebx]',
    'mov gs, ax',
    'int 0x80',
    'mov cr3, eax',
    'iretd',
  ],
} as const;

export class PvCalls {
  private readonly narrow: boolean;
  private readonly guest: BareGuest;
  private readonly p2m: Uint32Array;
  private readonly pages: ReadonlySet<number>;
  private readonly base: number;
  private readonly before: {
    readonly slots: Snapshot;
    readonly memory: Uint8Array;
    readonly registers: Uint8Array;
  };

  constructor(narrow: boolean) {
    this.narrow = narrow;
    this.base = narrow ? VIRT_BASE_32 : VIRT_BASE;
    const ramBytes = MEMORY + xenPv.ownBytes!(MEMORY);
    this.p2m = permuteFrames(ramBytes / PAGE, MEMORY / PAGE, SEED).guest;
    this.pages = new Set(this.p2m);
    this.guest = bareGuest(xenPv, {
      memoryBytes: MEMORY,
      engine: 'interpreter',
      seed: SEED,
      transmit: () => {},
    });
    const code = stubCode(narrow, this.base + CODE_AT);
    const elf = imageOf(narrow, code);
    this.guest.attached.start({
      kernel: openKernel(elf, 'nonsense'),
      initrd: null,
      commandLine: '',
    });
    this.prepare();
    this.before = {
      slots: this.guest.snapshots.save(),
      memory: this.bytes().slice(),
      registers: this.registers().slice(),
    };
  }

  /** Null if Xen has answered all of it or ended the domain with a sentence, and its counts are right. */
  drive(chance: Chance, calls: number): string | null {
    this.putBack();
    this.fill(chance);
    for (let n = 0; n < calls; n++) {
      const stop = this.step(chance);
      if (stop.kind === 'slice') continue;
      if (stop.kind === 'ended' && !stop.why.startsWith('Xen has ended the domain: '))
        return `call ${n}: ${stop.why}`;
      if (!['ended', 'off', 'reset', 'crashed', 'idle', 'dead'].includes(stop.kind))
        return `call ${n}: the machine has stopped: ${stop.kind}`;
      const wrong = auditFrames(this.guest, this.pages);
      if (wrong) return `before call ${n}: ${wrong}`;
      this.putBack();
      this.fill(chance);
    }
    return auditFrames(this.guest, this.pages);
  }

  /** Handlers for all exceptions, callbacks and a stack for entries: a domain without them would soon be at its end. */
  private prepare(): void {
    const nops = this.base + CODE_AT + STUBS.wide.length * STUB_BYTES;
    const table = this.va(PREPARED_PAGE);
    const words = (at: number, ...values: readonly number[]) =>
      values.forEach((value, n) => {
        const ram = this.guest.cpu.mmu.ramAddress(at, true, 'system') + n * (this.narrow ? 4 : 8);
        if (this.narrow) this.guest.ram.setU32(ram, value >>> 0);
        else this.guest.ram.setU64(ram, value >>> 0, Math.floor(value / 4294967296) >>> 0);
      });
    const bytes = this.narrow ? 8 : 16;
    VECTORS.forEach((vector, n) => {
      words(table + n * bytes, vector | (3 << 8) | (CS1 * 65536), nops);
    });
    words(table + VECTORS.length * bytes, 0, 0);
    this.call(HYPERVISOR_set_trap_table, table);
    for (const type of CALLBACKS) {
      if (this.narrow) words(table, type, CS1, nops);
      else words(table, type, nops);
      this.call(HYPERVISOR_callback_op, 0, table);
    }
    this.call(HYPERVISOR_stack_switch, 0xe021, this.va(STACK_PAGE) + 0x400);
  }

  private call(number: number, ...args: readonly number[]): void {
    const { state } = this.guest.cpu;
    state.setGpr(RAX, BigInt(number));
    const registers = ARGUMENTS[this.narrow ? 'narrow' : 'wide'];
    args.forEach((value, n) => void state.setGpr(registers[n]!, this.word(value)));
    state.setVa('rip', this.base + CODE_AT);
    this.guest.machine.run({ instructions: 1 });
    if (state.gpr32(RAX) !== 0) bug(`call ${number} answers ${state.gpr32(RAX) | 0}`);
  }

  private word(value: number): bigint {
    return BigInt.asUintN(this.narrow ? 32 : 64, BigInt(value));
  }

  private bytes(): Uint8Array {
    const { cpu } = this.guest;
    return new Uint8Array(cpu.memory.buffer, cpu.layout.ramBase, this.guest.ram.bytes);
  }

  private registers(): Uint8Array {
    const { cpu } = this.guest;
    return new Uint8Array(cpu.memory.buffer, cpu.layout.state, STATE_BYTES);
  }

  private putBack(): void {
    this.guest.snapshots.restore(this.before.slots);
    this.bytes().set(this.before.memory);
    const { state, mmu } = this.guest.cpu;
    // The count of instructions goes on where it was; the rest of the processor is what it was at the start.
    const left = [state.get('budget'), state.get('slack')] as const;
    this.registers().set(this.before.registers);
    state.set('budget', left[0]);
    state.set('slack', left[1]);
    mmu.flushAll();
  }

  private step(chance: Chance) {
    const { cpu, machine } = this.guest;
    const { state } = cpu;
    const which = chance.below(4) > 0 ? 0 : chance.below(STUBS.wide.length);
    const registers = ARGUMENTS[this.narrow ? 'narrow' : 'wide'];
    const put = (register: number, value: bigint) =>
      this.narrow
        ? state.setGpr32(register, Number(value & 0xffff_ffffn))
        : state.setGpr(register, value);
    for (const register of registers) put(register, this.argument(chance));
    if (which === 0) put(RAX, BigInt(callNumber(chance)));
    else {
      put(RAX, this.structureWord(chance));
      put(RBX, this.wide(this.page(chance)));
    }
    this.refresh(chance);
    put(RSP, this.wide(this.va(STACK_PAGE) + 0x800));
    if (this.narrow) {
      const dpl = 1 << ATTR_DPL_SHIFT;
      setSegmentTo(state, CS, 0xe019, 0, 0xffffffff, FLAT_CODE32 | dpl);
      setSegmentTo(state, SS, 0xe021, 0, 0xffffffff, FLAT_DATA | dpl);
      state.set('cpl', 1);
    }
    state.setVa('rip', this.base + CODE_AT + which * STUB_BYTES);
    cpu.stateChanged();
    return machine.run({ instructions: 1 });
  }

  private va(page: number): number {
    return this.base + PAGES_AT + page * PAGE;
  }

  private page(chance: Chance): number {
    return this.va(chance.below(DATA_PAGES)) + chance.below(512) * 8;
  }

  private mfn(chance: Chance): number {
    return this.p2m[PAGES_AT / PAGE + chance.below(DATA_PAGES)]!;
  }

  private wide(value: number): bigint {
    return BigInt.asUintN(64, BigInt(value));
  }

  private argument(chance: Chance): bigint {
    const kind = chance.below(10);
    if (kind < 4) return this.wide(this.page(chance));
    if (kind < 7) return BigInt(chance.below(40));
    if (kind < 8) return this.wide(chance.pick(POINTERS));
    return kind < 9 ? SELF : chance.u64();
  }

  /** Commands, entries, addresses of entries, frame numbers, pointers. */
  private structureWord(chance: Chance): bigint {
    const kind = chance.below(9);
    if (kind < 2) return BigInt(chance.below(24));
    if (kind < 4)
      return (
        BigInt(this.mfn(chance)) * 4096n + BigInt(chance.pick([0, 1, 2, 0x61, 0x63, 0x67, 0x800]))
      );
    if (kind < 5) return BigInt(this.mfn(chance));
    if (kind < 6) return this.wide(this.page(chance));
    if (kind < 7) return BigInt(this.mfn(chance)) * 4096n + BigInt(chance.below(512)) * 8n;
    return kind < 8 ? BigInt(chance.u32()) | (BigInt(chance.below(4096)) << 32n) : chance.u64();
  }

  /** The first page of structures anew. */
  private fill(chance: Chance): void {
    for (let n = 0; n < 64; n++) this.refresh(chance);
  }

  /** Some words behind each other, where the guest itself could write them; half of them at the beginning of a page. */
  private refresh(chance: Chance): void {
    const va = this.va(chance.below(DATA_PAGES)) + (chance.oneIn(2) ? 0 : chance.below(500) * 8);
    const at = this.guest.cpu.mmu.ramAddress(va, true, 'system');
    for (let n = 0; at >= 0 && n < WORDS_EACH; n++) {
      const word = this.structureWord(chance);
      this.guest.ram.setU64(at + n * 8, Number(word & 0xffff_ffffn), Number(word >> 32n));
    }
  }
}

/** A kernel whose code is this. */
export function imageOf(narrow: boolean, code: Uint8Array): Uint8Array {
  return narrow ? elf32With(code, VIRT_BASE_32, {}) : elfWith(code, {});
}

/** Few of those that soon end it. */
function callNumber(chance: Chance): number {
  const number = chance.below(NUMBERS);
  return ENDING.includes(number) && chance.below(40) > 0 ? chance.pick([1, 14, 26]) : number;
}

function stubCode(narrow: boolean, at: number): Uint8Array {
  const stubs = STUBS[narrow ? 'narrow' : 'wide'];
  const code = new Uint8Array((stubs.length + 1) * STUB_BYTES).fill(0x90);
  stubs.forEach((text, n) => {
    const va = at + n * STUB_BYTES;
    const one = new Assembler(narrow ? 32 : 64, BigInt.asUintN(64, BigInt(va)));
    one.text(text);
    code.set(one.finish(), n * STUB_BYTES);
  });
  return code;
}

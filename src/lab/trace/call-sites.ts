// Who asked: the place in the kernel from which an operation was called, by symbol, and how many instructions the call took.

import { decode } from '../../cpu/decode.ts';
import type { Decoded } from '../../cpu/decoded.ts';
import { type Peeked, peekAddress, peekBytes } from '../../cpu/peek.ts';
import { GPR_AT } from '../../cpu/state.ts';
import type { OrcTable, SymbolTable } from '../../image/index.ts';
import type { LinkAddress } from './link-address.ts';
import { symbolAt } from './names.ts';
import { Unwinder } from './unwinder.ts';

export interface CallSite {
  /** `switch_mm_irqs_off+0x1a3`, or an address where no symbol is known. */
  readonly caller: string;
  /** Functions beyond it, from the inside out, separated by spaces; empty where the stack cannot be told. */
  readonly callers: string;
  /** Guest instructions from the call to its return; 1 where the caller has the instruction itself. */
  readonly instructions: number;
}

/** What does not change from one call to the next. */
interface Site extends Omit<CallSite, 'callers'> {
  /** Words on the stack that the call has taken; -1: there was none. */
  readonly words: number;
}

/**
 * A function of a few instructions around the one that asks, such as a slot of a hypercall page: nothing but straight code
 * before it, nothing but POP and RET behind it. Who called that is who asked.
 */
interface Stub {
  readonly entry: number;
  /** Words on the stack above which the return address lies. */
  readonly words: number;
  readonly instructions: number;
}

const RSP = 4;
const RBP = 5;
/** What fits a slot of Xen's hypercall page. */
const STUB_BYTES = 32;
const STUB_INSTRUCTIONS = 16;
const MAX_INSN = 15;
/** From a call to a stub by direct jumps: static calls and thunks. */
const JUMPS_MAX = 4;
const STRAIGHT = ['push', 'mov', 'movzx', 'xor', 'nop'];
const SITES_MAX = 100_000;

export class CallSites {
  private readonly cpu: Peeked;
  private readonly symbols: SymbolTable | null;
  private readonly link: LinkAddress | null;
  private readonly stubs = new Map<number, Stub | null>();
  private readonly sites = new Map<number, Map<number, Site>>();
  private readonly unwinder: Unwinder | null;
  private sitesKnown = 0;
  private rip = 0;
  private rsp = 0;
  private rbp = 0;

  constructor(
    cpu: Peeked,
    symbols: SymbolTable | null,
    link: LinkAddress | null,
    orc: OrcTable | null = null,
  ) {
    this.cpu = cpu;
    this.symbols = symbols;
    this.link = link;
    this.unwinder = symbols && link && orc && new Unwinder(cpu, orc, symbols, link);
  }

  /** The instruction at `rip` is about to be answered. */
  enter(rip: number): void {
    this.rip = rip;
    this.rsp = this.cpu.state.vaAt(GPR_AT + RSP * 8);
    this.rbp = this.cpu.state.vaAt(GPR_AT + RBP * 8);
  }

  /** Where the last one came from. */
  site(): CallSite {
    const { rip, rsp, rbp } = this;
    const stub = this.stubAt(rip);
    const back = stub ? this.wordAt(rsp + stub.words * this.wordBytes()) : null;
    const { caller, instructions, words } = this.siteOf(rip, stub, back);
    const frame =
      words < 0 || back === null
        ? { ip: rip, sp: rsp, bp: rbp, returned: false }
        : { ip: back, sp: rsp + words * this.wordBytes(), bp: rbp, returned: true };
    return { caller, instructions, callers: this.unwinder?.callers(frame) ?? '' };
  }

  private siteOf(rip: number, stub: Stub | null, back: number | null): Site {
    const known = this.sites.get(rip)?.get(back ?? 0);
    if (known) return known;
    const jumps = stub && back !== null ? this.jumpsTo(stub.entry, back) : -1;
    const site =
      stub && back !== null && jumps >= 0
        ? {
            caller: this.name(back),
            instructions: 1 + jumps + stub.instructions,
            words: stub.words + 1,
          }
        : { caller: this.name(rip), instructions: 1, words: -1 };
    // A guest may make any number of places; the names of a kernel stay far below.
    if (this.sitesKnown++ < SITES_MAX) {
      const here = this.sites.get(rip) ?? new Map<number, Site>();
      this.sites.set(rip, here.set(back ?? 0, site));
    }
    return site;
  }

  private name(rip: number): string {
    const symbol = symbolAt(this.cpu, rip, this.symbols, this.link);
    return symbol ?? `0x${BigInt.asUintN(64, BigInt(rip)).toString(16)}`;
  }

  private stubAt(rip: number): Stub | null {
    const known = this.stubs.get(rip);
    if (known !== undefined) return known;
    const stub = this.findStub(rip);
    if (this.stubs.size < SITES_MAX) this.stubs.set(rip, stub);
    return stub;
  }

  /** It begins at a symbol, or at a slot of a page of calls. */
  private findStub(rip: number): Stub | null {
    const address = this.link?.of(this.cpu, rip) ?? null;
    const offset = (address === null ? null : this.symbols?.find(address)?.offset) ?? STUB_BYTES;
    const slot = ((rip % STUB_BYTES) + STUB_BYTES) % STUB_BYTES;
    const behind = this.wayOut(rip);
    if (!behind) return null;
    for (const before of new Set([offset, slot])) {
      if (before >= STUB_BYTES) continue;
      const entry = rip - before;
      const straight = this.straight(entry, rip);
      if (straight >= 0)
        return { entry, words: behind.words, instructions: straight + behind.instructions };
    }
    return null;
  }

  /** How many instructions lead straight from one place to another; -1: they do not. */
  private straight(from: number, to: number): number {
    let at = from;
    for (let n = 0; n < STUB_INSTRUCTIONS; n++) {
      if (at === to) return n;
      const d = this.decoded(at);
      if (!d || !STRAIGHT.includes(d.insn.name)) return -1;
      at += d.length;
    }
    return -1;
  }

  /** The instruction that asks, and those behind it as far as RET. Thunks that return by a jump are followed. */
  private wayOut(rip: number): Pick<Stub, 'words' | 'instructions'> | null {
    const first = this.decoded(rip);
    let at = rip + (first?.length ?? 0);
    let words = 0;
    for (let n = 2; first && n < STUB_INSTRUCTIONS; n++) {
      const d = this.decoded(at);
      const name = d?.insn.name;
      if (name === 'ret') return { words, instructions: n };
      if (name === 'pop') words++;
      else if (name === 'jmp' && d!.operands[0]?.kind === 'imm') at += relative(d!);
      else if (name !== 'nop') return null;
      at += d!.length;
    }
    return null;
  }

  /** Whether `back` stands behind a call that leads to `entry`, and by how many jumps; -1: it does not. */
  private jumpsTo(entry: number, back: number): number {
    const direct = this.decoded(back - 5);
    if (direct?.insn.name === 'call' && direct.length === 5) {
      let at = back + relative(direct);
      for (let jumps = 0; jumps <= JUMPS_MAX; jumps++) {
        if (at === entry) return jumps;
        const d = this.decoded(at);
        if (d?.insn.name !== 'jmp' || d.operands[0]?.kind !== 'imm') break;
        at += d.length + relative(d);
      }
      return -1;
    }
    for (let bytes = 2; bytes <= 7; bytes++) {
      const d = this.decoded(back - bytes);
      if (d?.insn.name === 'call' && d.length === bytes) return 0;
    }
    return -1;
  }

  private decoded(rip: number): Decoded | null {
    const { state } = this.cpu;
    const mode = state.get('codeMode') as 16 | 32 | 64;
    const bytes = peekBytes(this.cpu, mode === 64 ? rip : rip + state.segBase(1), MAX_INSN);
    const d = decode(bytes, 0, bytes.length, mode);
    return 'failure' in d ? null : d;
  }

  private wordAt(va: number): number | null {
    const { views, layout } = this.cpu;
    const gpa = peekAddress(this.cpu, va);
    if (gpa < 0 || gpa % 4 !== 0) return null;
    const i = (layout.ramBase + gpa) >>> 2;
    if (this.wordBytes() === 4) return views.u32[i]!;
    return views.i32[i + 1]! * 0x1_0000_0000 + views.u32[i]!;
  }

  private wordBytes(): number {
    return this.cpu.state.get('codeMode') === 64 ? 8 : 4;
  }
}

const relative = (d: Decoded): number => d.immLo[0];

// The reference as an engine: fetches, decodes and executes one instruction at a time, and keeps no decoded code.

import { GP } from './control-bits.ts';
import type { Engine, EngineParts, Stop } from './core.ts';
import { decode } from './decode.ts';
import type { Decoded, DecodeFailure } from './decoded.ts';
import { programOf } from './program.ts';
import { executeOne } from './reference.ts';
import { MODE_KEY_LIMIT, MODE_KEY_STACK } from './state.ts';

const SEG_CS = 1;
const PAGE = 4096;
const MAX_INSN = 15;

export function createReferenceEngine(parts: EngineParts): Engine {
  return new ReferenceEngine(parts);
}

export class ReferenceEngine implements Engine {
  readonly name = 'reference';
  private readonly p: EngineParts;
  /** Bytes of an instruction that may lie in two pages. */
  private readonly window = new Uint8Array(MAX_INSN);
  private executing = false;
  /** Coverage: told of every instruction that has run, with its linear address. */
  onRun: ((d: Decoded, linear: number, faulted: boolean) => void) | null = null;

  constructor(parts: EngineParts) {
    this.p = parts;
  }

  run(): Stop {
    const { state } = this.p;
    for (;;) {
      if (state.get('attention') !== 0) return 'attention';
      const budget = state.get('budget') | 0;
      if (budget <= 0) return 'budget';
      if (this.step() === 'fault') return 'fault';
    }
  }

  pending(): number {
    return this.executing ? 1 : 0;
  }
  currentRip(): number {
    return this.p.state.getVa('rip');
  }
  mayActNow(): boolean {
    return true;
  }
  restart(): void {}
  codeAt(): boolean {
    return false;
  }
  codeWritten(): void {}

  /** One instruction, paid for before it runs and refunded if it faults. */
  private step(): 'done' | 'fault' {
    const { state, cx } = this.p;
    const linear = this.linearRip();
    const d = this.decodeNext();
    if (d === null) return 'fault';
    state.set('budget', (state.get('budget') | 0) - 1);
    cx.insn.osize = d.variant.osize;
    cx.insn.asize = d.variant.asize;
    cx.insn.mode = d.variant.mode;
    cx.insn.length = d.length;
    this.executing = true;
    const rip = state.get64('rip');
    const program = programOf(d);
    const faulted = executeOne(cx, d, program);
    const repeats = d.variant.rep !== 'none' && program.nodes.at(-1)?.op === 'again';
    state.set('stop', repeats && state.get64('rip') === rip ? 1 : 0);
    this.executing = false;
    this.onRun?.(d, linear, faulted === 1);
    if (!faulted) return 'done';
    state.set('budget', (state.get('budget') | 0) + 1);
    return 'fault';
  }

  /** The instruction at RIP; null: a fault is raised. The second page is only touched when the first is not enough. */
  private decodeNext(): Decoded | null {
    const { state } = this.p;
    const mode = state.get('codeMode') as 16 | 32 | 64;
    const otherStack = (state.get('modeKey') & MODE_KEY_STACK) !== 0;
    const limited = (state.get('modeKey') & MODE_KEY_LIMIT) !== 0;
    // SDM 3A 5.3: no byte beyond the limit of CS is fetched.
    const most = limited
      ? Math.min(MAX_INSN, state.get('csLimit') - state.get('rip') + 1)
      : MAX_INSN;
    if (most <= 0) return this.beyondLimit();
    const va = this.linearRip();
    const room = Math.min(most, PAGE - (va & (PAGE - 1)));
    if (!this.fetchBytes(va, 0, room)) return null;
    let d: Decoded | DecodeFailure = decode(this.window, 0, room, mode, otherStack, limited);
    if ('failure' in d && d.failure === 'truncated' && room < most) {
      const next = state.get('codeMode') === 64 ? va + room : (va + room) >>> 0;
      if (!this.fetchBytes(next, room, most)) return null;
      d = decode(this.window, 0, most, mode, otherStack, limited);
    }
    if (!('failure' in d)) return d;
    if (d.failure === 'truncated' && most < MAX_INSN) return this.beyondLimit();
    this.p.undecodable(this.p.mmu.fetch(va), d.failure === 'too-long' ? 'too-long' : 'undefined');
    return null;
  }

  private beyondLimit(): null {
    this.p.state.raise(GP, 0);
    return null;
  }

  private linearRip(): number {
    const { state } = this.p;
    if (state.get('codeMode') === 64) return state.getVa('rip');
    return (state.get('rip') + state.segBase(SEG_CS)) >>> 0;
  }

  /** Copies the code bytes at `va` to window[from..to), all in one page; false: a fault is raised. */
  private fetchBytes(va: number, from: number, to: number): boolean {
    const { mmu, views, layout } = this.p;
    const gpa = mmu.fetch(va);
    if (gpa < 0) return false;
    if (!mmu.isRam(gpa)) {
      this.p.undecodable(gpa, 'not-ram');
      return false;
    }
    const at = layout.ramBase + gpa;
    this.window.set(views.u8.subarray(at, at + to - from), from);
    return true;
  }
}

// ENTER: a stack frame that begins with the frame pointers of the procedures around it.

import { GP, SS } from '../control-bits.ts';
import { currentStack, masked, peekStack, type Stack, setStackPointer } from '../stack.ts';
import { FIELDS, GPR_AT, type State } from '../state.ts';
import { type Cx, defineSlow } from './define.ts';

const RBP = 5;

/** Args: bytes for local variables (32), nesting level 0..31 (32). */
export const enter = defineSlow({
  name: 'enter',
  ref: 'SDM 2A ENTER',
  run(cx) {
    const { state, insn } = cx;
    const stack = currentStack(state);
    const frame = new Frame(cx, stack, insn.osize / 8);
    const level = state.arg32(1);
    frame.push(state.gpr(RBP));
    const top = frame.sp;
    let outer = masked(state.vaAt(GPR_AT + RBP * 8), stack.width);
    for (let n = 1; n < level; n++) {
      outer = masked(outer - insn.osize / 8, stack.width);
      const pointer = frame.read(outer);
      if (pointer === null) return 1;
      frame.push(pointer);
    }
    if (level > 0) frame.push(BigInt.asUintN(64, BigInt(top)));
    const sp = masked(frame.sp - state.arg32(0), stack.width);
    // The last check is for the address that the next push will start from. SDM 2A ENTER, "Protected Mode Exceptions".
    if (!frame.fits() || !writable(cx, stack, sp, insn.osize / 8)) return 1;
    frame.write();
    setFramePointer(state, insn.mode === 64 ? 64 : insn.osize, top);
    setStackPointer(state, sp, stack.width);
    return 0;
  },
});

/** The bytes pushed so far, which the reads of outer frame pointers may meet again. */
class Frame {
  sp: number;
  private readonly cx: Cx;
  private readonly stack: Stack;
  private readonly bytes: number;
  private readonly pushed = new Map<number, number>();
  private readonly places: number[] = [];

  constructor(cx: Cx, stack: Stack, bytes: number) {
    this.cx = cx;
    this.stack = stack;
    this.bytes = bytes;
    this.sp = stack.sp;
  }

  push(value: bigint): void {
    this.sp = masked(this.sp - this.bytes, this.stack.width);
    this.places.push(this.sp);
    for (let n = 0; n < this.bytes; n++) {
      this.pushed.set(this.sp + n, Number((value >> BigInt(n * 8)) & 0xffn));
    }
  }

  /** A word at an offset within SS; null: a fault is raised. */
  read(at: number): bigint | null {
    if (!peekStack(this.cx, { ...this.stack, sp: at }, this.bytes)) return null;
    const { buf } = this.cx.mmu;
    let value = 0n;
    for (let n = this.bytes - 1; n >= 0; n--) {
      value = (value << 8n) | BigInt(this.pushed.get(at + n) ?? buf.getUint8(n));
    }
    return value;
  }

  /** Can all of it be written? If not, a fault is raised. */
  fits(): boolean {
    return this.places.every((at) => writable(this.cx, this.stack, at, this.bytes));
  }

  write(): void {
    const { mmu } = this.cx;
    for (const at of this.places) {
      for (let n = 0; n < this.bytes; n++) mmu.buf.setUint8(n, this.pushed.get(at + n) ?? 0);
      mmu.write(linearOf(this.stack, at), this.bytes, 'current');
    }
  }
}

function writable(cx: Cx, stack: Stack, at: number, bytes: number): boolean {
  const { mmu, state } = cx;
  if (!mmu.probe(linearOf(stack, at), bytes, 'current')) {
    if (state.get(FIELDS.faultVector) === GP) state.raise(SS, 0);
    return false;
  }
  return peekStack(cx, { ...stack, sp: at }, bytes); // For the limit of SS.
}

function linearOf(stack: Stack, at: number): number {
  return stack.width === 64 ? at : (stack.base + at) >>> 0;
}

function setFramePointer(state: State, bits: number, value: number): void {
  if (bits === 64) state.setVaAt(GPR_AT + RBP * 8, value);
  else if (bits === 32) state.setGpr32(RBP, value >>> 0);
  else state.views.u16[(state.base + GPR_AT + RBP * 8) >> 1] = value;
}

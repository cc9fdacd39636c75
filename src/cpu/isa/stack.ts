// The stack: push, pop, their all-register and flag forms, enter and leave.

import { bug } from '../../base/errors.ts';
import type { Build } from './build.ts';
import { GPR, SEG_SS } from './build.ts';
import type { Insn } from './define.ts';
import { flagsImage } from './flags.ts';
import type { Value } from './ir.ts';

const GP = 13;
const EFLAGS_VM = 17;

export const push: Insn = {
  name: 'push',
  ref: 'SDM 2B PUSH',
  forms: [
    { op: 'ff /6', args: 'Ev', size64: 'd64' },
    { op: '50+r', args: 'Zv', size64: 'd64' },
    { op: '6a', args: 'Ib', size64: 'd64' },
    { op: '68', args: 'Iz', size64: 'd64' },
    { op: '0e', args: 'CS', only: 'no64' },
    { op: '16', args: 'SS', only: 'no64' },
    { op: '1e', args: 'DS', only: 'no64' },
    { op: '06', args: 'ES', only: 'no64' },
    { op: '0f a0', args: 'FS', size64: 'd64' },
    { op: '0f a8', args: 'GS', size64: 'd64' },
  ],
  sem(b, src) {
    if (src.kind === 'reg' && src.file === 'seg') {
      pushSegment(b, src.fixed as number);
      return;
    }
    pushValue(b, b.readAs(src, b.osize));
  },
};

export const pop: Insn = {
  name: 'pop',
  ref: 'SDM 2B POP',
  forms: [
    { op: '8f /0', args: 'Ev', size64: 'd64', asksSpBase: true },
    { op: '58+r', args: 'Zv', size64: 'd64' },
    { op: '1f', args: 'DS', only: 'no64' },
    { op: '07', args: 'ES', only: 'no64' },
    { op: '17', args: 'SS', only: 'no64' },
    { op: '0f a1', args: 'FS', size64: 'd64' },
    { op: '0f a9', args: 'GS', size64: 'd64' },
  ],
  sem(b, dst) {
    if (dst.kind === 'reg' && dst.file === 'seg') {
      popSegment(b, dst.fixed as number);
      return;
    }
    const value = peek(b, 0, b.osize);
    if (dst.kind === 'reg') {
      moveStackPointer(b, b.osize / 8); // First: pop rSP keeps what it popped.
      b.write(dst, value);
      return;
    }
    b.store('operand', popAddress(b), value);
    moveStackPointer(b, b.osize / 8);
  },
};

export const pusha: Insn = {
  name: 'pusha',
  ref: 'SDM 2B PUSHA/PUSHAD',
  forms: [{ op: '60', args: '', only: 'no64', name: 'pusha/pushad' }],
  sem(b) {
    const bytes = b.osize / 8;
    const places = ALL_REGISTERS.map((_, n) => stackOffset(b, -bytes * (n + 1)));
    for (const place of places) b.probeWrite(SEG_SS, place, bytes);
    ALL_REGISTERS.forEach((name, n) => {
      b.store(SEG_SS, places[n] as Value, b.reg(name, b.osize));
    });
    moveStackPointer(b, -bytes * places.length);
  },
};

export const popa: Insn = {
  name: 'popa',
  ref: 'SDM 2B POPA/POPAD',
  forms: [{ op: '61', args: '', only: 'no64', name: 'popa/popad' }],
  sem(b) {
    const bytes = b.osize / 8;
    const last = ALL_REGISTERS.length - 1;
    const values = ALL_REGISTERS.map((_, n) => peek(b, bytes * (last - n), b.osize));
    moveStackPointer(b, bytes * values.length);
    ALL_REGISTERS.forEach((name, n) => {
      if (name !== 'rsp') b.setReg(name, values[n] as Value);
    });
  },
};

export const pushf: Insn = {
  name: 'pushf',
  ref: 'SDM 2B PUSHF/PUSHFD/PUSHFQ',
  forms: [{ op: '9c', args: '', size64: 'd64', name: 'pushf/pushfd/pushfq' }],
  flags: { cf: 'r', pf: 'r', af: 'r', zf: 'r', sf: 'r', of: 'r', df: 'r', if: 'r' },
  sem(b) {
    refuseInVirtual8086(b);
    pushValue(b, b.cast(b.osize === 64 ? 'zext' : 'trunc', flagsImage(b), b.osize));
  },
};

export const popf: Insn = {
  name: 'popf',
  ref: 'SDM 2B POPF/POPFD/POPFQ',
  forms: [{ op: '9d', args: '', size64: 'd64', name: 'popf/popfd/popfq' }],
  flags: { cf: 'w', pf: 'w', af: 'w', zf: 'w', sf: 'w', of: 'w', df: 'w', if: 'w' },
  sem(b) {
    refuseInVirtual8086(b);
    const image = peek(b, 0, b.osize);
    moveStackPointer(b, b.osize / 8); // The slow path cannot fault: it filters the image by CPL and IOPL.
    b.callEnd('popf', [b.zext(image, 64)]);
  },
};

export const enter: Insn = {
  name: 'enter',
  ref: 'SDM 2A ENTER',
  forms: [{ op: 'c8', args: 'Iw,Ib', size64: 'd64' }],
  sem(b, frameBytes, level) {
    const depth = b.bin('and', b.zext(b.readAs(level, 8), 32), b.const(32, 31));
    b.callEnd('enter', [b.zext(b.readAs(frameBytes, 16), 32), depth]);
  },
};

export const leave: Insn = {
  name: 'leave',
  ref: 'SDM 2A LEAVE',
  forms: [{ op: 'c9', args: '', size64: 'd64' }],
  sem(b) {
    const frame = b.reg('rbp', b.stackWidth);
    const value = b.load(SEG_SS, b.zext(frame, 64), b.osize);
    b.setReg('rsp', b.bin('add', frame, b.const(b.stackWidth, b.osize / 8)));
    b.setReg('rbp', value);
  },
};

/** In the order in which pusha pushes them. */
const ALL_REGISTERS = GPR.slice(0, 8);

/** Pushes `v` (16, 32 or 64 bits): one store, then rSP. Nothing that can fault may follow. */
export function pushValue(b: Build, v: Value): void {
  const bytes = v.width / 8;
  b.store(SEG_SS, stackOffset(b, -bytes), v);
  moveStackPointer(b, -bytes);
}

/** What lies `bytes` above the top of the stack. */
export function peek(b: Build, bytes: number, width: 16 | 32 | 64): Value {
  return b.load(SEG_SS, stackOffset(b, bytes), width);
}

export function moveStackPointer(b: Build, bytes: number): void {
  b.setReg('rsp', b.bin('add', b.reg('rsp', b.stackWidth), b.const(b.stackWidth, bytes)));
}

/** A 16-bit stack wraps within its segment: every access takes its own offset from rSP. */
function stackOffset(b: Build, bytes: number): Value {
  const sp = b.reg('rsp', b.stackWidth);
  const at = bytes === 0 ? sp : b.bin('add', sp, b.const(b.stackWidth, bytes));
  return b.zext(at, 64);
}

/** The address of `pop` is computed after rSP has moved. SDM 2B POP. */
function popAddress(b: Build): Value {
  if (b.variant.spBase !== true) return b.address();
  const moved = b.bin('add', b.address(), b.const(64, b.osize / 8));
  return b.zext(b.trunc(moved, b.asize), 64);
}

/** A selector is pushed zero-extended; 32-bit pushes write all four bytes, as AMD's processors do. */
function pushSegment(b: Build, segment: number): void {
  pushValue(b, b.cast(b.osize === 16 ? 'trunc' : 'zext', selector(b, segment), b.osize));
}

/** A load may fault after the read of the stack: the slow path moves rSP last. `sp` is all of the new RSP. */
function popSegment(b: Build, segment: number): void {
  const value = peek(b, 0, 16);
  const moved = b.bin('add', b.reg('rsp', b.stackWidth), b.const(b.stackWidth, b.osize / 8));
  b.callEnd('pop_segment', [b.const(32, segment), b.zext(value, 32), wholeStackPointer(b, moved)]);
}

/** RSP after a write of `sp`, which has the width of the stack. */
function wholeStackPointer(b: Build, sp: Value): Value {
  if (sp.width !== 16) return b.zext(sp, 64);
  const upper = b.bin('and', b.reg('rsp', 64), b.const(64, ~0xffffn));
  return b.bin('or', upper, b.zext(sp, 64));
}

const SELECTORS = [
  'esSelector',
  'csSelector',
  'ssSelector',
  'dsSelector',
  'fsSelector',
  'gsSelector',
] as const;

/** The visible part of a segment register, 32 bits wide (upper 16 are 0). */
export function selector(b: Build, segment: number): Value {
  return b.state(SELECTORS[segment] ?? bug(`segment ${segment}`), 32);
}

/** #GP(0) for pushf, popf in virtual-8086 mode with IOPL below 3. SDM 3B 20.2.7. */
function refuseInVirtual8086(b: Build): void {
  if (b.mode !== 16) return;
  const eflags = b.state('eflags', 32);
  const iopl = b.bin('and', eflags, b.const(32, 3 << 12));
  const low = b.cmp('ne', iopl, b.const(32, 3 << 12));
  b.faultIf(b.and1(b.bit(eflags, EFLAGS_VM), low), GP, 0);
}

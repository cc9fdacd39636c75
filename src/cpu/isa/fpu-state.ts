// Control and saved state of the floating-point units: FXSAVE, XSAVE, MXCSR, x87 environment, EMMS.

import { environmentBytes, x87ImageBytes } from '../slow/x87-environment.ts';
import { XSAVE_BYTES, XSAVE_COMPACT, XSAVE_OPT, XSAVE_PLAIN } from '../slow/xsave.ts';
import type { Build } from './build.ts';
import type { Form, Insn } from './define.ts';
import { enterMmx, mmxCheck, sseCheck, x87Check, x87NoWaitCheck } from './fpu-check.ts';
import type { Value } from './ir.ts';

const UD = 6;
const NM = 7;
const GP = 13;
const CR0_TS_BIT = 3;
const CR4_OSXSAVE_BIT = 18;
const FXSAVE_BYTES = 512;
const MXCSR_BITS = 0xffff;
/** XCR0 bits that can be set: x87 (always), SSE. */
const XCR0_BITS = 3;

function operandAt(b: Build, bytes: number, writes: boolean): Value {
  return b.linear('operand', b.address(), bytes, writes);
}

function fxInsn(name: 'fxsave' | 'fxrstor', digit: number, wide: boolean): Insn {
  const form: Form = { op: `NP ${wide ? 'W1' : 'W0'} 0f ae /${digit}`, args: 'Mt', needs: 'fxsr' };
  return {
    name: wide ? `${name}64` : name,
    ref: `SDM 2A ${name.toUpperCase()}`,
    forms: [wide ? { ...form, only: '64' } : form],
    sem(b) {
      x87NoWaitCheck(b);
      b.call(name, [operandAt(b, FXSAVE_BYTES, name === 'fxsave'), b.const(32, wide ? 1 : 0)]);
    },
  };
}

/** #UD without CR4.OSXSAVE, #NM with CR0.TS (EM has no effect). SDM 1 13.7. */
function xsaveCheck(b: Build): void {
  b.faultIf(b.not1(b.bit(b.state('cr4', 32), CR4_OSXSAVE_BIT)), UD, null);
  b.faultIf(b.bit(b.state('cr0', 32), CR0_TS_BIT), NM, null);
}

function edxEax(b: Build): Value {
  const high = b.bin('shl', b.zext(b.reg('rdx', 32), 64), b.const(64, 32));
  return b.bin('or', high, b.zext(b.reg('rax', 32), 64));
}

function xInsn(name: string, path: string, opcode: string, kind: number, needs: string): Insn[] {
  return [false, true].map((wide) => ({
    name: wide ? `${name}64` : name,
    ref: `SDM 2C ${name.toUpperCase()}`,
    forms: [
      {
        op: `NP ${wide ? 'W1' : 'W0'} 0f ${opcode}`,
        args: 'Mt',
        needs,
        ...(wide ? { only: '64' as const } : {}),
      },
    ],
    sem(b: Build) {
      xsaveCheck(b);
      const at = operandAt(b, XSAVE_BYTES, path === 'xsave');
      b.call(path, [at, b.const(32, kind + (wide ? 4 : 0)), edxEax(b)]);
    },
  }));
}

const xgetbv: Insn = {
  name: 'xgetbv',
  ref: 'SDM 2C XGETBV',
  forms: [{ op: 'NP 0f 01 =d0', args: '', needs: 'xsave' }],
  sem(b) {
    b.faultIf(b.not1(b.bit(b.state('cr4', 32), CR4_OSXSAVE_BIT)), UD, null);
    const which = b.reg('rcx', 32);
    b.faultIf(b.cmp('ltu', b.const(32, 1), which), GP, 0);
    // ECX = 1: what of XCR0 is in use.
    const [used] = b.call('xinuse', [], [32]) as [Value];
    b.setReg('rax', b.select(b.isZero(which), b.state('xcr0', 32), used));
    b.setReg('rdx', b.const(32, 0));
  },
};

const xsetbv: Insn = {
  name: 'xsetbv',
  ref: 'SDM 2C XSETBV',
  forms: [{ op: 'NP 0f 01 =d1', args: '', needs: 'xsave' }],
  sem(b) {
    // An opcode that is not there goes before the privilege to use it (SDM 3A 6.9).
    b.faultIf(b.not1(b.bit(b.state('cr4', 32), CR4_OSXSAVE_BIT)), UD, null);
    b.faultIf(b.not1(b.isZero(b.state('cpl', 32))), GP, 0);
    const low = b.reg('rax', 32);
    const bad = b.bin('and', low, b.const(32, ~XCR0_BITS));
    const high = b.bin('or', b.reg('rdx', 32), b.reg('rcx', 32));
    b.faultIf(b.not1(b.isZero(b.bin('or', bad, high))), GP, 0);
    b.faultIf(b.not1(b.bit(low, 0)), GP, 0);
    b.setState('xcr0', low);
  },
};

const ldmxcsr: Insn = {
  name: 'ldmxcsr',
  ref: 'SDM 2A LDMXCSR',
  forms: [{ op: 'NP 0f ae /2', args: 'Md', needs: 'sse' }],
  sem(b, src) {
    sseCheck(b);
    const v = b.read(src);
    b.faultIf(b.not1(b.isZero(b.bin('and', v, b.const(32, ~MXCSR_BITS)))), GP, 0);
    b.setState('mxcsr', v);
  },
};
const stmxcsr: Insn = {
  name: 'stmxcsr',
  ref: 'SDM 2B STMXCSR',
  forms: [{ op: 'NP 0f ae /3', args: 'Md', needs: 'sse' }],
  sem(b, dst) {
    sseCheck(b);
    b.write(dst, b.state('mxcsr', 32));
  },
};

const emms: Insn = {
  name: 'emms',
  ref: 'SDM 2A EMMS',
  forms: [{ op: 'NP 0f 77', args: '', needs: 'mmx' }],
  sem(b) {
    mmxCheck(b);
    enterMmx(b); // TOP becomes 0 here too. SDM 3A table 12-2.
    b.setState('ftw', b.const(16, 0));
  },
};

/** FNSTENV, FLDENV, FNSAVE, FRSTOR: an image whose size depends on the operand size. */
function imageInsn(
  name: string,
  op: string,
  size: (osize: number) => number,
  waits: boolean,
): Insn {
  return {
    name,
    ref: `SDM 2A ${name.toUpperCase()}`,
    forms: [{ op, args: 'Mt', needs: 'fpu' }],
    sem(b) {
      if (waits) x87Check(b);
      else x87NoWaitCheck(b);
      b.call(name, [operandAt(b, size(b.osize), name.startsWith('fn'))]);
    },
  };
}

/** Control instructions without operands that do not wait for pending exceptions. */
function control(name: string, op: string, path: string | null): Insn {
  return {
    name,
    ref: 'SDM 1 8.3.11',
    forms: [{ op, args: '', needs: 'fpu' }],
    sem(b) {
      x87NoWaitCheck(b);
      if (path) b.call(path, []);
    },
  };
}

const fldcw: Insn = {
  name: 'fldcw',
  ref: 'SDM 2A FLDCW',
  forms: [{ op: 'd9 /5', args: 'Mw', needs: 'fpu' }],
  sem(b, src) {
    x87Check(b);
    b.call('fldcw', [b.zext(b.read(src), 32)]);
  },
};

function storeWord(name: string, field: 'fcw' | 'fsw', forms: readonly Form[]): Insn {
  return {
    name,
    ref: `SDM 2A ${name.toUpperCase()}`,
    forms,
    sem(b, dst) {
      x87NoWaitCheck(b);
      b.write(dst, b.state(field, 16));
    },
  };
}

const fwait: Insn = {
  name: 'fwait',
  ref: 'SDM 2B WAIT/FWAIT',
  forms: [{ op: '9b', args: '', needs: 'fpu' }],
  sem(b) {
    b.call('fwait', []);
  },
};

export const fpuState: readonly Insn[] = [
  fxInsn('fxsave', 0, false),
  fxInsn('fxsave', 0, true),
  fxInsn('fxrstor', 1, false),
  fxInsn('fxrstor', 1, true),
  ...xInsn('xsave', 'xsave', 'ae /4', XSAVE_PLAIN, 'xsave'),
  ...xInsn('xrstor', 'xrstor', 'ae /5', XSAVE_PLAIN, 'xsave'),
  ...xInsn('xsaveopt', 'xsave', 'ae /6', XSAVE_OPT, 'xsaveopt'),
  ...xInsn('xsavec', 'xsave', 'c7 /4', XSAVE_COMPACT, 'xsavec'),
  xgetbv,
  xsetbv,
  ldmxcsr,
  stmxcsr,
  emms,
  imageInsn('fnstenv', 'd9 /6', environmentBytes, false),
  imageInsn('fldenv', 'd9 /4', environmentBytes, true),
  imageInsn('fnsave', 'dd /6', x87ImageBytes, false),
  imageInsn('frstor', 'dd /4', x87ImageBytes, true),
  control('fninit', 'db =e3', 'fninit'),
  control('fnclex', 'db =e2', 'fnclex'),
  // Of the 8087 and the 287; no operation since the 387. SDM 2A, table A-8.
  control('fneni', 'db =e0', null),
  control('fndisi', 'db =e1', null),
  control('fnsetpm', 'db =e4', null),
  fldcw,
  storeWord('fnstcw', 'fcw', [{ op: 'd9 /7', args: 'Mw', needs: 'fpu' }]),
  storeWord('fnstsw', 'fsw', [
    { op: 'dd /7', args: 'Mw', needs: 'fpu' },
    { op: 'df =e0', args: 'AX', needs: 'fpu' },
  ]),
  fwait,
];

// Segment registers: MOV to and from them, far-pointer loads, FS and GS bases, descriptor-table registers, selector tests.

import { CR4_FSGSBASE, CR4_UMIP } from '../control-bits.ts';
import type { Build } from './build.ts';
import { SEG_DS, SEG_ES, SEG_FS, SEG_GS, SEG_SS } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import type { Value, Width } from './ir.ts';

const UD = 6;
const GP = 13;
const CR0_PE_BIT = 0;
const EFLAGS_VM_BIT = 17;

const NAMES = ['ES', 'CS', 'SS', 'DS', 'FS', 'GS'] as const;
const SELECTOR_FIELDS = [
  'esSelector',
  'csSelector',
  'ssSelector',
  'dsSelector',
  'fsSelector',
  'gsSelector',
] as const;

/** CS can be read but not loaded: 8e /1 is #UD, like 8c /6. */
export const movSegment: Insn = {
  name: 'mov',
  ref: 'SDM 2B MOV',
  forms: [
    ...NAMES.map((name, n): Form => ({ op: `8c /${n}`, args: `Ev/w,${name}` })),
    ...[SEG_ES, SEG_SS, SEG_DS, SEG_FS, SEG_GS].map(
      (n): Form => ({ op: `8e /${n}`, args: `${NAMES[n]},Ew` }),
    ),
  ],
  sem(b, dst, src) {
    if (dst.kind === 'reg' && dst.file === 'seg') {
      const selector = b.zext(b.read(src), 32);
      b.callEnd('load_segment', [b.regNumber(dst), selector]);
      return;
    }
    const field = SELECTOR_FIELDS[segmentOf(src)] as string;
    b.write(dst, b.cast(dst.size < 32 ? 'trunc' : 'zext', b.state(field, 32), dst.size as Width));
  },
};

export const lds = farLoad('lds', 'c5 /r', SEG_DS, { only: 'no64' });
export const les = farLoad('les', 'c4 /r', SEG_ES, { only: 'no64' });
export const lss = farLoad('lss', '0f b2 /r', SEG_SS);
export const lfs = farLoad('lfs', '0f b4 /r', SEG_FS);
export const lgs = farLoad('lgs', '0f b5 /r', SEG_GS);

export const rdfsbase = readBase('rdfsbase', 0, 'fsBase');
export const rdgsbase = readBase('rdgsbase', 1, 'gsBase');
export const wrfsbase = writeBase('wrfsbase', 2, SEG_FS);
export const wrgsbase = writeBase('wrgsbase', 3, SEG_GS);

export const lgdt = tableRegister('lgdt', 2, 'load_table', 0);
export const lidt = tableRegister('lidt', 3, 'load_table', 1);
export const sgdt = tableRegister('sgdt', 0, 'store_table', 0);
export const sidt = tableRegister('sidt', 1, 'store_table', 1);

export const sldt = storeSelector('sldt', '0f 00 /0', 'ldtrSelector');
export const str = storeSelector('str', '0f 00 /1', 'trSelector');
export const lldt = loadSelector('lldt', '0f 00 /2');
export const ltr = loadSelector('ltr', '0f 00 /3');

export const lar = askDescriptor('lar', '0f 02 /r');
export const lsl = askDescriptor('lsl', '0f 03 /r');
export const verr = verify('verr', '0f 00 /4', 0);
export const verw = verify('verw', '0f 00 /5', 1);

/** Not in real mode, not in virtual-8086 mode. */
function protectedOnly(b: Build): void {
  const real = b.not1(b.bit(b.state('cr0', 32), CR0_PE_BIT));
  b.faultIf(b.or1(real, b.bit(b.state('eflags', 32), EFLAGS_VM_BIT)), UD, null);
}

/** CR4.UMIP keeps rings 1 to 3 from reading what tables are in use. SDM 3A 2.5. */
export function hiddenByUmip(b: Build): void {
  const outside = b.not1(b.isZero(b.state('cpl', 32)));
  b.faultIf(b.and1(outside, stateBit(b, 'cr4', CR4_UMIP)), GP, 0);
}

function stateBit(b: Build, field: string, mask: number): Value {
  return b.bit(b.state(field, 32), 31 - Math.clz32(mask));
}

function segmentOf(o: Operand): number {
  return o.kind === 'reg' ? (o.fixed ?? 0) : 0;
}

function farLoad(name: string, op: string, segment: number, rest: Partial<Form> = {}): Insn {
  return {
    name,
    ref: 'SDM 2A LDS/LES/LFS/LGS/LSS',
    forms: [{ op, args: 'Gv,Mp', ...rest }],
    sem(b, dst) {
      const offset = b.load('operand', b.address(), b.osize);
      const above = b.bin('add', b.address(), b.const(64, b.osize / 8));
      const selector = b.load('operand', b.zext(b.trunc(above, b.asize), 64), 16);
      b.callEnd('load_far_pointer', [
        b.const(32, segment),
        b.zext(selector, 32),
        b.regNumber(dst),
        b.zext(offset, 64),
        b.const(32, b.osize),
      ]);
    },
  };
}

function baseForms(digit: number): Form[] {
  return [{ op: `F3 0f ae /${digit}`, args: 'Ry', only: '64', needs: 'fsgsbase' }];
}

function needsFsgsbase(b: Build): void {
  b.faultIf(b.not1(stateBit(b, 'cr4', CR4_FSGSBASE)), UD, null);
}

function readBase(name: string, digit: number, field: string): Insn {
  return {
    name,
    ref: 'SDM 2B RDFSBASE/RDGSBASE',
    forms: baseForms(digit),
    sem(b, dst) {
      needsFsgsbase(b);
      b.write(dst, b.trunc(b.state(field, 64), dst.size as Width));
    },
  };
}

function writeBase(name: string, digit: number, segment: number): Insn {
  return {
    name,
    ref: 'SDM 2B WRFSBASE/WRGSBASE',
    forms: baseForms(digit),
    sem(b, src) {
      needsFsgsbase(b);
      b.call('write_segment_base', [b.const(32, segment), b.zext(b.read(src), 64)]);
    },
  };
}

/** Loading is privileged; storing is hidden by UMIP. Both move 10 bytes in 64-bit code and 6 elsewhere. */
function tableRegister(name: string, digit: number, path: string, idt: 0 | 1): Insn {
  const loads = path === 'load_table';
  return {
    name,
    ref: loads ? 'SDM 2A LGDT/LIDT' : 'SDM 2B SGDT/SIDT',
    forms: [{ op: `0f 01 /${digit}`, args: 'Ms' }],
    ...(loads ? { privileged: true } : {}),
    sem(b) {
      if (!loads) hiddenByUmip(b);
      const va = b.linear('operand', b.address(), b.mode === 64 ? 10 : 6, !loads);
      b.callEnd(path, [va, b.const(32, idt)]);
    },
  };
}

function storeSelector(name: string, op: string, field: string): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms: [{ op, args: 'Ev/w' }],
    sem(b, dst) {
      protectedOnly(b);
      hiddenByUmip(b);
      b.write(dst, b.cast(dst.size < 32 ? 'trunc' : 'zext', b.state(field, 32), dst.size as Width));
    },
  };
}

function loadSelector(name: string, op: string): Insn {
  return {
    name,
    ref: `SDM 2A ${name.toUpperCase()}`,
    forms: [{ op, args: 'Ew' }],
    sem(b, src) {
      protectedOnly(b); // Before the privilege is looked at: #UD, not #GP(0), in virtual-8086 mode.
      b.faultIf(b.not1(b.isZero(b.state('cpl', 32))), GP, 0);
      b.callEnd(name, [b.zext(b.read(src), 32)]);
    },
  };
}

function askDescriptor(name: string, op: string): Insn {
  return {
    name,
    ref: `SDM 2A ${name.toUpperCase()}`,
    forms: [{ op, args: 'Gv,Ew' }],
    flags: { zf: 'w' },
    sem(b, dst, src) {
      protectedOnly(b);
      const selector = b.zext(b.read(src), 32);
      const [known, value] = b.call(name, [selector], [32, 32]) as [Value, Value];
      const found = b.trunc(known, 1);
      b.setFlags({ zf: found });
      b.skipIf(b.not1(found));
      b.write(dst, b.cast(dst.size < 32 ? 'trunc' : 'zext', value, dst.size as Width));
    },
  };
}

function verify(name: string, op: string, forWrite: 0 | 1): Insn {
  return {
    name,
    ref: 'SDM 2B VERR/VERW',
    forms: [{ op, args: 'Ew' }],
    flags: { zf: 'w' },
    sem(b, src) {
      protectedOnly(b);
      const args = [b.zext(b.read(src), 32), b.const(32, forWrite)];
      const [ok] = b.call('verify_segment', args, [32]) as [Value];
      b.setFlags({ zf: b.trunc(ok, 1) });
    },
  };
}

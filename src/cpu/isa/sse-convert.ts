// Conversions between integers and single and double precision, and between those: SSE and SSE2.

import { type Conversion, conversionCode } from '../slow/float-convert.ts';
import type { Build } from './build.ts';
import type { Form, Insn, Operand } from './define.ts';
import { enterMmx, isMm, mmxCheck, sseCheck } from './fpu-check.ts';
import type { Value, Width } from './ir.ts';
import { low64, lowOfZero, writeMm } from './vector.ts';

const ref = (name: string): string => `SDM 2A ${name.toUpperCase()}`;

function called(b: Build, v: Value, c: Conversion, width: Width): Value {
  const code = b.const(32, conversionCode(c));
  const [result] = b.call('float-convert', [v, code], [width]);
  return result ?? v;
}

const SIZES = { f32: 32, i32: 32, f64: 64, i64: 64 } as const;

/** A scalar conversion into an xmm register (the rest stays) or a general one. */
function scalar(name: string, form: Form, from: Conversion['from'], to: Conversion['to']): Insn {
  const truncate = name.startsWith('cvtt');
  return {
    name,
    ref: ref(name),
    forms: [form],
    sem(b, dst, src) {
      sseCheck(b);
      b.write(dst, called(b, b.read(src), { from, to, lanes: 1, truncate }, SIZES[to]));
    },
  };
}

/** The W0 and W1 forms of a conversion from or to a general register. */
function general(name: string, prefix: string, opcode: string, args: string, needs: string): Insn {
  const truncate = name.startsWith('cvtt');
  const float = name.includes('ss') ? 'f32' : 'f64';
  const fromInteger = name.includes('si2');
  return {
    name,
    ref: ref(name),
    forms: [
      { op: `${prefix} W0 0f ${opcode} /r`, args: args.replace('y', 'd'), needs },
      { op: `${prefix} W1 0f ${opcode} /r`, args: args.replace('y', 'q'), needs, only: '64' },
    ],
    sem(b, dst, src) {
      sseCheck(b);
      const v = b.read(src);
      const wide = (fromInteger ? v.width : sizeOf(dst)) === 64;
      const integer = wide ? 'i64' : 'i32';
      const c: Conversion = fromInteger
        ? { from: integer, to: float, lanes: 1, truncate }
        : { from: float, to: integer, lanes: 1, truncate };
      // 32 bits fit into double precision, whatever MXCSR says.
      if (c.from === 'i32' && c.to === 'f64') return b.write(dst, exactDouble(b, v));
      b.write(dst, called(b, v, c, SIZES[c.to]));
    },
  };
}

function sizeOf(o: Operand): number {
  return o.size;
}

function exactDouble(b: Build, v: Value): Value {
  return low64(b, b.vec('f64x2.convert_low_i32x4_s', [b.vec('i32x4.splat', [v])]));
}

/** A packed conversion; `lanes` results, what is left of the register is cleared. */
function packed(name: string, op: string, args: string, c: Omit<Conversion, 'truncate'>): Insn {
  const truncate = name.startsWith('cvtt');
  return {
    name,
    ref: ref(name),
    forms: [{ op, args, needs: 'sse2' }],
    sem(b, dst, src) {
      sseCheck(b);
      const v = src.size === 128 ? b.readAligned(src) : b.read(src);
      if (c.from === 'i32' && c.to === 'f64')
        return b.write(dst, b.vec('f64x2.convert_low_i32x4_s', [lowOfZero(b, v)]));
      b.write(dst, called(b, v, { ...c, truncate }, 128));
    },
  };
}

/**
 * Between mm registers and two lanes of an xmm register. cvtpi2pd from memory touches no mm register, and so makes no
 * transition. SDM 2A CVTPI2PD.
 */
function withMmx(
  name: string,
  op: string,
  args: string,
  from: Conversion['from'],
  to: Conversion['to'],
): Insn {
  const truncate = name.startsWith('cvtt');
  return {
    name,
    ref: ref(name),
    forms: [{ op, args, needs: op.startsWith('NP') ? 'sse' : 'sse2' }],
    sem(b, dst, src) {
      sseCheck(b);
      if (isMm(dst) || isMm(src) || name === 'cvtpi2ps') mmxCheck(b);
      const v = src.size === 128 ? b.readAligned(src) : b.read(src);
      const wide = to === 'f64';
      const result = called(b, v, { from, to, lanes: 2, truncate }, wide ? 128 : 64);
      if (isMm(dst)) return writeMm(b, dst, result);
      b.write(dst, result);
      // Reading an mm register is a transition too, which leaves its exponent alone. SDM 3A table 12-2.
      if (isMm(src)) enterMmx(b);
    },
  };
}

export const sseConvert: readonly Insn[] = [
  general('cvtsi2ss', 'F3', '2a', 'Vss,Ey', 'sse'),
  general('cvtsi2sd', 'F2', '2a', 'Vsd,Ey', 'sse2'),
  general('cvttss2si', 'F3', '2c', 'Gy,Wss', 'sse'),
  general('cvttsd2si', 'F2', '2c', 'Gy,Wsd', 'sse2'),
  general('cvtss2si', 'F3', '2d', 'Gy,Wss', 'sse'),
  general('cvtsd2si', 'F2', '2d', 'Gy,Wsd', 'sse2'),
  scalar('cvtss2sd', { op: 'F3 0f 5a /r', args: 'Vsd,Wss', needs: 'sse2' }, 'f32', 'f64'),
  scalar('cvtsd2ss', { op: 'F2 0f 5a /r', args: 'Vss,Wsd', needs: 'sse2' }, 'f64', 'f32'),
  packed('cvtps2pd', 'NP 0f 5a /r', 'Vpd,Wq', { from: 'f32', to: 'f64', lanes: 2 }),
  packed('cvtpd2ps', '66 0f 5a /r', 'Vps,Wpd', { from: 'f64', to: 'f32', lanes: 2 }),
  packed('cvtdq2ps', 'NP 0f 5b /r', 'Vps,Wdq', { from: 'i32', to: 'f32', lanes: 4 }),
  packed('cvtps2dq', '66 0f 5b /r', 'Vdq,Wps', { from: 'f32', to: 'i32', lanes: 4 }),
  packed('cvttps2dq', 'F3 0f 5b /r', 'Vdq,Wps', { from: 'f32', to: 'i32', lanes: 4 }),
  packed('cvtdq2pd', 'F3 0f e6 /r', 'Vpd,Wq', { from: 'i32', to: 'f64', lanes: 2 }),
  packed('cvtpd2dq', 'F2 0f e6 /r', 'Vdq,Wpd', { from: 'f64', to: 'i32', lanes: 2 }),
  packed('cvttpd2dq', '66 0f e6 /r', 'Vdq,Wpd', { from: 'f64', to: 'i32', lanes: 2 }),
  withMmx('cvtpi2ps', 'NP 0f 2a /r', 'Vq,Qq', 'i32', 'f32'),
  withMmx('cvtpi2pd', '66 0f 2a /r', 'Vpd,Qq', 'i32', 'f64'),
  withMmx('cvttps2pi', 'NP 0f 2c /r', 'Pq,Wq', 'f32', 'i32'),
  withMmx('cvttpd2pi', '66 0f 2c /r', 'Pq,Wpd', 'f64', 'i32'),
  withMmx('cvtps2pi', 'NP 0f 2d /r', 'Pq,Wq', 'f32', 'i32'),
  withMmx('cvtpd2pi', '66 0f 2d /r', 'Pq,Wpd', 'f64', 'i32'),
];

// Comparisons of single and double precision: into EFLAGS and into masks.

import type { Insn } from './define.ts';
import { sseCheck } from './fpu-check.ts';

const FLAGS = { zf: 'w', pf: 'w', cf: 'w', of: '0', sf: '0', af: '0' } as const;

/** comis raises invalid for quiet NaNs too, ucomis only for signaling ones. */
function intoFlags(name: string, op: string, args: string, bits: 32 | 64): Insn {
  return {
    name,
    ref: `SDM 2A ${name.toUpperCase()}`,
    forms: [{ op, args, needs: bits === 64 ? 'sse2' : 'sse' }],
    flags: FLAGS,
    sem(b, first, second) {
      sseCheck(b);
      const y = b.read(second);
      const signaling = b.const(32, name.startsWith('c') ? 1 : 0);
      const args4 = [b.read(first), y, b.const(32, bits), signaling];
      const [flags] = b.call('float-compare-flags', args4, [32]);
      if (!flags) return;
      const no = b.const(1, 0);
      b.setFlags({
        cf: b.bit(flags, 0),
        pf: b.bit(flags, 2),
        zf: b.bit(flags, 6),
        of: no,
        sf: no,
        af: no,
      });
    },
  };
}

/** A mask of all ones in every lane for which the predicate of the immediate holds. */
function intoMask(name: string, prefix: string, args: string, bits: 32 | 64, lanes: number): Insn {
  return {
    name,
    ref: `SDM 2A ${name.toUpperCase()}`,
    forms: [
      { op: `${prefix} 0f c2 /r`, args: `${args},Ib`, needs: name.endsWith('s') ? 'sse' : 'sse2' },
    ],
    sem(b, dst, src, by) {
      sseCheck(b);
      const y = lanes > 1 ? b.readAligned(src) : b.read(src);
      const predicate = b.zext(b.read(by), 32);
      const x = b.read(dst);
      const operands = [x, y, predicate, b.const(32, bits), b.const(32, lanes)];
      const [mask] = b.call('float-compare-mask', operands, [x.width]);
      if (mask) b.write(dst, mask);
    },
  };
}

export const sseCompare: readonly Insn[] = [
  intoFlags('ucomiss', 'NP 0f 2e /r', 'Vss,Wss', 32),
  intoFlags('ucomisd', '66 0f 2e /r', 'Vsd,Wsd', 64),
  intoFlags('comiss', 'NP 0f 2f /r', 'Vss,Wss', 32),
  intoFlags('comisd', '66 0f 2f /r', 'Vsd,Wsd', 64),
  intoMask('cmpps', 'NP', 'Vps,Wps', 32, 4),
  intoMask('cmppd', '66', 'Vpd,Wpd', 64, 2),
  intoMask('cmpss', 'F3', 'Vss,Wss', 32, 1),
  intoMask('cmpsd', 'F2', 'Vsd,Wsd', 64, 1),
];

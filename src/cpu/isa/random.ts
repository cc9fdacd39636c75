// Random numbers and the processor's identifier in a register.

import type { Form, Insn } from './define.ts';
import type { Value, Width } from './ir.ts';

export const rdrand = generator('rdrand', { op: '0f c7 /6', args: 'Rv', needs: 'rdrand' });
export const rdseed = generator('rdseed', { op: '0f c7 /7', args: 'Rv', needs: 'rdseed' });

export const rdpid: Insn = {
  name: 'rdpid',
  ref: 'SDM 2B RDPID',
  forms: [
    { op: 'F3 0f c7 /7', args: 'Rq', only: '64', needs: 'rdpid' },
    { op: 'F3 0f c7 /7', args: 'Rd', only: 'no64', needs: 'rdpid' },
  ],
  sem: (b, dst) => b.write(dst, b.zext(b.state('tscAux', 32), dst.size as Width)),
};

/** It never runs dry: CF is always set. */
function generator(name: string, form: Form): Insn {
  return {
    name,
    ref: `SDM 2B ${name.toUpperCase()}`,
    forms: [form],
    flags: { cf: '1', pf: '0', af: '0', zf: '0', sf: '0', of: '0' },
    sem(b, dst) {
      const [value] = b.call('random', [], [64]) as [Value];
      b.write(dst, b.trunc(value, dst.size as Width));
      const no = b.const(1, 0);
      b.setFlags({ cf: b.const(1, 1), pf: no, af: no, zf: no, sf: no, of: no });
    },
  };
}

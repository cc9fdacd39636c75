// Every floating-point and vector form: its IR is sound in each mode and with each kind of operand.

import { expect, test } from 'vitest';
import { decode } from '../decode.ts';
import { programOf } from '../program.ts';
import { slowPath } from '../slow/registry.ts';
import { randomEncoding } from '../testing/encoding.ts';
import { Random } from '../testing/random.ts';
import { checkProgram } from './check.ts';
import type { Insn } from './define.ts';
import { fpuState } from './fpu-state.ts';
import { sseCompare } from './sse-compare.ts';
import { sseConvert } from './sse-convert.ts';
import { sseFloat } from './sse-float.ts';
import { sseInt } from './sse-int.ts';
import { sseMove } from './sse-move.ts';
import { sseShift } from './sse-shift.ts';
import { sseShuffle } from './sse-shuffle.ts';
import { sse41 } from './sse41.ts';
import { sse42 } from './sse42.ts';
import { ssse3 } from './ssse3.ts';
import { x87 } from './x87.ts';
import { x87Arith } from './x87-arith.ts';

const FAMILIES: readonly (readonly [string, readonly Insn[]])[] = Object.entries({
  fpuState,
  sse41,
  sse42,
  sseCompare,
  sseConvert,
  sseFloat,
  sseInt,
  sseMove,
  sseShift,
  sseShuffle,
  ssse3,
  x87,
  x87Arith,
});

test.each(FAMILIES)('every form of %s decodes to itself and has a sound program', (_, insns) => {
  const random = new Random(5);
  const broken: string[] = [];
  for (const insn of insns) {
    for (const form of insn.forms) {
      let met = 0;
      for (const mode of [16, 32, 64] as const) {
        for (let n = 0; n < 12; n++) {
          const code = Uint8Array.from(randomEncoding(form, mode, random).bytes);
          const d = decode(code, 0, code.length, mode);
          if ('failure' in d || d.form !== form) continue;
          met++;
          const program = programOf(d);
          for (const what of checkProgram(program))
            broken.push(`${insn.name} ${form.op} ${mode}: ${what}`);
          for (const node of program.nodes) if (node.op === 'call') slowPath(node.name);
        }
      }
      if (met === 0) broken.push(`${insn.name} ${form.op} ${form.args}: never decoded`);
    }
  }
  expect([...new Set(broken)]).toEqual([]);
});

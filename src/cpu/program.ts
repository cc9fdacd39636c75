// The IR of a decoded instruction: recorded from its table entry once for each key, then kept.

import type { Decoded } from './decoded.ts';
import { Build } from './isa/build.ts';
import type { Program } from './isa/ir.ts';

const GP = 13;

/** Programs by key: pure functions of the table, so that sharing them between vCPUs is no state. */
const programs = new Map<string, Program>();

export function programOf(d: Decoded): Program {
  const known = programs.get(d.key);
  if (known) return known;
  const program = record(d);
  programs.set(d.key, program);
  return program;
}

function record(d: Decoded): Program {
  const b = new Build(d.variant);
  if (d.insn.privileged) b.faultIf(b.not1(b.isZero(b.state('cpl', 32))), GP, 0);
  d.insn.sem(b, ...d.operands);
  return b.finish();
}

// Which forms of the integer families a user-mode program can run on a real CPU, unattended.

import * as arith from '../isa/arith.ts';
import * as bcd from '../isa/bcd.ts';
import * as bits from '../isa/bits.ts';
import * as control from '../isa/control.ts';
import type { Insn } from '../isa/define.ts';
import * as flags from '../isa/flags.ts';
import * as logic from '../isa/logic.ts';
import * as move from '../isa/move.ts';
import * as multiply from '../isa/multiply.ts';
import * as shift from '../isa/shift.ts';
import * as stack from '../isa/stack.ts';
import * as string from '../isa/string.ts';
import { type Group, groupsOf } from './hardware-cases.ts';

const FAMILIES = [arith, logic, multiply, bcd, shift, bits, move, flags, string, stack, control];
/** They change or depend on segments, privilege or the system's handlers. */
const NOT_ALONE = /^(popf|pushf|int|int1|int3|into|iret|jmpf|callf|retf|sysret)$/;

export function hardwareGroups(): Group[] {
  const insns = FAMILIES.flatMap((family) =>
    Object.values(family as Readonly<Record<string, unknown>>).filter(isInsn),
  );
  return groupsOf(insns.filter((insn) => !NOT_ALONE.test(insn.name))).filter(isUserForm);
}

/** Not pushes and pops of segment registers, whose selectors are the system's; not near branches that leave 16 bits of RIP. */
function isUserForm({ form, insn, osize }: Group): boolean {
  if (/[CDEFGS]S/.test(form.args)) return false;
  if (osize === 16 && form.size64 === 'd64' && NEAR_BRANCHES.has(insn)) return false;
  return !(insn.name === 'movbe' && form.args.includes('E'));
}

const NEAR_BRANCHES = new Set<unknown>(Object.values(control));

function isInsn(thing: unknown): thing is Insn {
  return typeof thing === 'object' && thing !== null && 'sem' in thing;
}

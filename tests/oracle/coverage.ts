// Which forms of the instruction table outside machines have answered for: vectors of a real CPU, programs on Bochs and QEMU.

import { decode } from '../../src/cpu/decode.ts';
import type { CompiledForm } from '../../src/cpu/isa/compile.ts';
import type { Form } from '../../src/cpu/isa/define.ts';
import { forms } from '../../src/cpu/table.ts';
import { floatCase, floatGroups } from '../../src/cpu/testing/float-cases.ts';
import { hardwareCase } from '../../src/cpu/testing/hardware-cases.ts';
import { hardwareGroups } from '../../src/cpu/testing/hardware-groups.ts';
import { build } from './image.ts';
import * as at from './layout.ts';
import { type OnRun, ourMachine } from './ours.ts';
import { allPrograms } from './programs/index.ts';

/** Cases of a group that are looked at: what the code bytes are must be what the group says. */
const CASES = 3;
/** Their only result is an exception (or, here, a refusal): it is what the programs compare. */
const REFUSED = /^(ud[012]|vmcall|vmmcall|rdpmc)$/;

/** Forms whose vectors are compared: those that the bytes of the cases decode to. */
export function hardwareForms(): Set<Form> {
  const found = new Set<Form>();
  const see = (code: readonly number[], mode: 32 | 64) => {
    const d = decode(Uint8Array.from(code), 0, code.length, mode);
    if (!('failure' in d)) found.add(d.form);
  };
  for (let n = 0; n < CASES; n++) {
    for (const group of hardwareGroups()) see(hardwareCase(group, n).code, group.mode);
    for (const kind of ['exact', 'transcendental', 'approximate'] as const)
      for (const group of floatGroups(kind)) see(floatCase(group, n).code, 64);
  }
  return found;
}

/** Notes the forms that complete in a program's own code, not in the kernel's around it. */
export function formsOfPrograms(found: Set<number>): OnRun {
  return (d, linear, faulted) => {
    if (linear < at.CODE || linear >= at.PROGRAMS) return;
    if (!faulted || REFUSED.test(d.insn.name)) found.add(d.formId);
  };
}

export function programForms(): Set<number> {
  const found = new Set<number>();
  const machine = ourMachine('reference', formsOfPrograms(found));
  for (const program of allPrograms) machine.run(build(program));
  return found;
}

export function withoutOracle(
  hardware: ReadonlySet<Form>,
  programs: ReadonlySet<number>,
): readonly CompiledForm[] {
  return forms.filter((f) => !hardware.has(f.form) && !programs.has(f.id));
}

export const formName = ({ form, insn }: CompiledForm): string =>
  `${form.name ?? insn.name} ${form.op} (${form.args})`;

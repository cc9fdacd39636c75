// Which forms of the table the recorded oracles exercise: vectors of a real CPU, and programs run on Bochs and QEMU.

import type { Form } from '../src/cpu/isa/define.ts';
import { recordedForms } from '../src/cpu/program.ts';
import { floatGroups } from '../src/cpu/testing/float-cases.ts';
import { hardwareGroups } from '../src/cpu/testing/hardware-groups.ts';
import { build } from '../tests/oracle/image.ts';
import { ourMachine } from '../tests/oracle/ours.ts';
import { allPrograms } from '../tests/oracle/programs/index.ts';

/** Forms with vectors: `npx tsx tools/vectors/record.ts` and `record-float.ts` make them. */
export function hardwareForms(): Set<Form> {
  const groups = [...hardwareGroups(), ...floatGroups(), ...floatGroups(true)];
  return new Set(groups.map((g) => g.form));
}

/** Ids of the forms that the programs execute on the reference, which keeps an IR for exactly those. */
export function programForms(): Set<number> {
  const machine = ourMachine('reference');
  for (const program of allPrograms) machine.run(build(program));
  return recordedForms();
}

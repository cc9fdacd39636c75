// `npm run coverage:isa`: which outside machine has answered for each form of the instruction table, and for which none has.

import { forms } from '../src/cpu/table.ts';
import { formName, hardwareForms, programForms, withoutOracle } from '../tests/oracle/coverage.ts';

const hardware = hardwareForms();
const programs = programForms();
const missing = withoutOracle(hardware, programs);
const count = (counts: (f: (typeof forms)[number]) => boolean) => forms.filter(counts).length;
process.stdout.write(
  `${forms.length} forms: ${count((f) => hardware.has(f.form))} compared with vectors of a real CPU, ${count((f) => programs.has(f.id))} completed by programs that Bochs and QEMU answered\n`,
);
for (const name of missing.map(formName).sort())
  process.stdout.write(`  without an oracle: ${name}\n`);
process.stdout.write(
  missing.length === 0 ? 'none without an oracle\n' : `${missing.length} forms without an oracle\n`,
);
process.exitCode = missing.length === 0 ? 0 : 1;

// `npm run coverage:isa`: which outside machine has answered for each form of the instruction table, and for which none has.

import { forms } from '../src/cpu/table.ts';
import { hardwareForms, programForms } from './oracle-forms.ts';

const byHardware = hardwareForms();
const byPrograms = programForms();
const missing = new Map<string, string[]>();
let hardware = 0;
let programs = 0;
for (const f of forms) {
  if (byHardware.has(f.form)) hardware++;
  if (byPrograms.has(f.id)) programs++;
  if (byHardware.has(f.form) || byPrograms.has(f.id)) continue;
  const name = f.form.name ?? f.insn.name;
  missing.set(name, [...(missing.get(name) ?? []), `${f.form.op} (${f.form.args})`]);
}
process.stdout.write(
  `${forms.length} forms: ${hardware} compared with vectors of a real CPU, ${programs} run by programs that Bochs and QEMU answered\n`,
);
for (const [name, list] of [...missing].sort())
  process.stdout.write(`  without an oracle: ${name.padEnd(12)} ${list.join('; ')}\n`);
const count = [...missing.values()].reduce((n, list) => n + list.length, 0);
process.stdout.write(
  count === 0 ? 'none without an oracle\n' : `${count} forms without an oracle\n`,
);
process.exitCode = count === 0 ? 0 : 1;

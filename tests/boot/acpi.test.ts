// The ACPI tables of both machine models, read by ACPICA's own disassembler and compiled again from what it says.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FirmwareFacts } from '../../src/machine/acpi/facts.ts';
import { acpiTables } from '../../src/machine/acpi/tables.ts';
import { memoryStore, openDisk } from '../../src/machine/disk.ts';
import { microvmFacts } from '../../src/machine/models/microvm-firmware.ts';
import { createPc } from '../../src/machine/models/pc.ts';
import { pcFacts } from '../../src/machine/models/pc-firmware.ts';
import { haveAll } from './host-tools.ts';

const PROCESSOR = { signature: 0x00a00f11, features: 0x078bfbff };
/** What the root pointer is not a table for, and the disassembler does not take. */
const NO_TABLES = ['RSDP'];
const COMPLAINT = /\b(error|warning|invalid|incorrect|unknown|unresolved)\b/i;
const SUMMARY = /^Compilation successful\. 0 Errors, 0 Warnings, .*$/m;

function pc(): FirmwareFacts {
  const disk = openDisk(memoryStore(1 << 20), 'copy-on-write', 'd');
  const machine = createPc({
    ramBytes: 64 << 20,
    epochSeconds: 0,
    transmit: () => {},
    ideDisks: [disk],
  });
  return pcFacts(machine, PROCESSOR);
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvops-acpi-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

function iasl(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync('iasl', args, { cwd: folder, encoding: 'utf8' });
  expect(status, `${stdout}${stderr}`).toBe(0);
  return `${stdout}${stderr}`;
}

describe.skipIf(!haveAll('iasl'))('iasl', () => {
  it.each([
    ['microvm', microvmFacts(PROCESSOR)],
    ['pc', pc()],
  ])(
    'disassembles the tables of a %s without a complaint, and compiles them again',
    (id, facts) => {
      const tables = acpiTables(facts).filter(({ name }) => !NO_TABLES.includes(name));
      expect(tables.map(({ name }) => name)).toEqual(
        expect.arrayContaining(['FACP', 'APIC', 'DSDT', 'XSDT']),
      );
      for (const { name, bytes } of tables) {
        const file = `${id}-${name.toLowerCase()}`;
        writeFileSync(join(folder, `${file}.dat`), bytes);
        expect(iasl('-d', `${file}.dat`)).not.toMatch(COMPLAINT);
        expect(iasl(`${file}.dsl`)).toMatch(SUMMARY);
      }
    },
  );
});

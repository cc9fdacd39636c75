// Every device that the machine layer defines, found by looking: a new one is driven, or the test says that it is not.

import { readdirSync } from 'node:fs';
import type { VirtioDefinition, VirtioGiven } from '../../src/machine/virtio/define.ts';

export type SomeVirtio = VirtioDefinition<object, VirtioGiven<object>, unknown>;

interface Definition {
  readonly name: string;
  readonly ref: string;
  plug: unknown;
}

const FOLDERS = ['devices', 'pci', 'virtio'] as const;
const MACHINE = new URL('../../src/machine/', import.meta.url);

const found: { readonly file: string; readonly definition: Definition }[] = [];
for (const folder of FOLDERS) {
  for (const file of readdirSync(new URL(`${folder}/`, MACHINE)).sort()) {
    if (!file.endsWith('.ts') || file.endsWith('.test.ts')) continue;
    const exports: Record<string, unknown> = await import(
      new URL(`${folder}/${file}`, MACHINE).href
    );
    for (const value of Object.values(exports)) {
      if (isDefinition(value)) found.push({ file: `${folder}/${file}`, definition: value });
    }
  }
}

function isDefinition(value: unknown): value is Definition {
  return typeof value === 'object' && value !== null && 'plug' in value && 'ref' in value;
}

export function deviceNames(): readonly string[] {
  return found.map(({ definition }) => definition.name);
}

export function virtioDefinitions(): readonly SomeVirtio[] {
  return found.flatMap(({ definition }) =>
    'transitionalId' in definition ? [definition as unknown as SomeVirtio] : [],
  );
}

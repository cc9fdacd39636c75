// Holds our layouts of C structures against the headers: C text whose assertions a compiler checks without running anything.

import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import type { XenStruct } from '../src/hypervisors/xen/abi/layout.ts';

// biome-ignore lint/suspicious/noExplicitAny: structures of any fields.
export type AnyXenStruct = XenStruct<any>;

/** Where Debian's libxen-dev puts xen/include/public. */
const HEADERS = '/usr/include/xen';

export function isXenStruct(value: unknown): value is AnyXenStruct {
  return typeof value === 'object' && value !== null && 'cName' in value && 'narrow' in value;
}

/** A C file that compiles just if every size and offset is the header's. */
export function assertions(structs: readonly AnyXenStruct[], wide: boolean): string {
  const headers = [...new Set(structs.map(({ header }) => header))].sort();
  return [
    '#include <stddef.h>',
    '#include <stdint.h>',
    '#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__',
    '#define __XEN_TOOLS__', // Some structures are for tools alone.
    ...headers.map((header) => `#include <xen/${header}>`),
    ...structs.flatMap((type) => assertionsOf(type, wide)),
    '',
  ].join('\n');
}

function assertionsOf(type: AnyXenStruct, wide: boolean): string[] {
  const layout = wide ? type.wide : type.narrow;
  const lines = type.partial ? [] : [assertion(`sizeof(${type.cName})`, layout.size)];
  for (const field of Object.keys(layout.fields)) {
    const member = type.members[field] ?? field;
    lines.push(assertion(`offsetof(${type.cName}, ${member})`, layout.offsetOf(field)));
    lines.push(assertion(`sizeof(((${type.cName} *)0)->${member})`, layout.bytesOf(field)));
  }
  return lines;
}

const assertion = (what: string, value: number): string =>
  `_Static_assert(${what} == ${value}, "${what} == ${value}");`;

/** Whether this host can compile for both word sizes against the headers. */
export function canCompile(): boolean {
  if (!existsSync(`${HEADERS}/xen.h`)) return false;
  return compile('#include <stdint.h>\n', false) === '';
}

/** The compiler's complaints, empty if there are none. */
export function compile(text: string, wide: boolean): string {
  const done = spawnSync('gcc', [wide ? '-m64' : '-m32', '-fsyntax-only', '-x', 'c', '-'], {
    input: text,
    encoding: 'utf8',
  });
  return done.error ? String(done.error.message) : done.stderr;
}

export function digest(texts: readonly string[]): string {
  return createHash('sha256').update(texts.join('\0')).digest('hex');
}

// Operations as reports have them: found by what a user typed, and with everything that is known of them in one row.

import { InputError } from '../base/errors.ts';
import { nearest } from '../hypervisors/index.ts';
import {
  findOperation,
  groupOf,
  LINUX_VERSIONS,
  type LinuxVersion,
  linuxName,
  OPERATIONS,
  type Operation,
  type OperationId,
  referencesOf,
  signatureOf,
  vocabulary,
} from '../ops/index.ts';

/** An operation as JSON has it. */
export interface OperationFacts {
  readonly id: string;
  readonly group: string;
  readonly class: string;
  readonly does: string;
  readonly signature: string;
  readonly native: string;
  readonly lazy: string | null;
  /** What each vocabulary calls it: a slot or a hook. */
  readonly linux: Readonly<Partial<Record<LinuxVersion, string>>>;
  readonly replacedBy: string | null;
  readonly references: readonly string[];
}

export function operationFacts(op: Operation): OperationFacts {
  const names = LINUX_VERSIONS.map((version) => [version, linuxName(op, version)] as const);
  return {
    id: op.id,
    group: groupOf(op),
    class: op.class,
    does: op.does,
    signature: signatureOf(op),
    native: op.native.what,
    lazy: op.lazy ?? null,
    linux: Object.fromEntries(names.filter(([, name]) => name !== null)),
    replacedBy: op.replacedBy ?? null,
    references: referencesOf(op),
  };
}

/** The slots of one version of Linux, or the whole catalogue. */
export function chosenOperations(linux: string | null): readonly Operation<OperationId>[] {
  if (linux === null) return OPERATIONS;
  const version = LINUX_VERSIONS.find((known) => known === linux);
  if (version) return vocabulary(version);
  throw new InputError(
    'ops/unknown-linux',
    `there is no vocabulary of Linux '${linux}'`,
    `known are: ${LINUX_VERSIONS.join(', ')}.`,
  );
}

/** One operation by its id. */
export function operationNamed(id: string): Operation<OperationId> {
  const found = findOperation(id);
  if (found) return found;
  throw unknownOperation(id);
}

/** Operations by patterns: `mmu.set_pte`, `mmu.*`, `*.read_*`; several are separated by commas. */
export function operationsLike(patterns: string): readonly Operation<OperationId>[] {
  const found = new Set<Operation<OperationId>>();
  for (const pattern of patterns.split(',').map((text) => text.trim())) {
    const matching = OPERATIONS.filter(({ id }) => like(pattern).test(id));
    if (matching.length === 0) throw unknownOperation(pattern);
    for (const op of matching) found.add(op);
  }
  return OPERATIONS.filter((op) => found.has(op));
}

/** Bounded: a pattern's stars are joined, so that matching it is not exponential. */
function like(pattern: string): RegExp {
  const parts = pattern.slice(0, 64).split(/\*+/).slice(0, 5);
  return new RegExp(`^${parts.map((part) => part.replace(/[^\w]/g, '\\$&')).join('.*')}$`);
}

function unknownOperation(id: string): InputError {
  const ids = OPERATIONS.map((op) => op.id);
  // Who types `set_pte` means `mmu.set_pte`.
  const members = ids.filter((known) => known.slice(known.indexOf('.') + 1) === id.toLowerCase());
  const near = [...members, ...nearest(id, ids)].slice(0, 5);
  return new InputError(
    'ops/unknown-operation',
    `there is no operation '${id.slice(0, 80)}'`,
    near.length > 0
      ? `did you mean ${near.map((name) => `'${name}'`).join(' or ')}?`
      : 'see them all with: pvops ops',
  );
}

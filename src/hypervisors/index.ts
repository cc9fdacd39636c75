// The registry of interfaces, one line each, and how a user's `kvm@2.6.32` finds one.

import { InputError } from '../base/errors.ts';
import type { HypervisorInterface, InterfaceChoice } from './define.ts';
import { kvm } from './kvm/index.ts';
import { lguest } from './lguest/index.ts';
import { native } from './native/index.ts';
import { nearest } from './nearest.ts';
import { vmi } from './vmi/index.ts';
import { xenPv } from './xen-pv/index.ts';
import { xenPvh } from './xen-pvh/index.ts';

export {
  type Attached,
  BOOT_WAYS,
  type BootWay,
  type Guest,
  type GuestModule,
  type HypervisorInterface,
  type InterfaceChoice,
  type OwnDevices,
  type Platform,
  policyFor,
} from './define.ts';
export {
  type EntryPoint,
  entryPointsOf,
  type Manifest,
  otherEntryPoints,
  type Visibility,
} from './manifest.ts';
export { nearest } from './nearest.ts';
export type { Seen, SeenArguments } from './seen.ts';
export { type Omission, type Omitting, omittableParts, withoutParts } from './without.ts';

export const INTERFACES: readonly HypervisorInterface[] = [
  native, //
  kvm,
  xenPv,
  xenPvh,
  vmi,
  lguest,
];

/** What a result names: null if it is not one of ours, or not any more. */
export function findInterfaceOf(result: string): InterfaceChoice | null {
  const [name = ''] = result.split(' ', 1); // Behind it stands what it was run without.
  const [id, version = ''] = name.split('@');
  const found = INTERFACES.find((candidate) => candidate.id === id);
  if (!found || (version !== '' && !found.versions.includes(version))) return null;
  return { interface: found, version, name };
}

/** Finds `id` or `id@version`. */
export function findInterface(name: string): InterfaceChoice {
  const [id = '', asked, ...rest] = name.split('@');
  const found = INTERFACES.find((candidate) => candidate.id === id);
  if (!found || rest.length > 0) throw unknownInterface(name, id);
  const version = asked ?? found.versions[0] ?? '';
  if (asked !== undefined && !found.versions.includes(asked)) throw unknownVersion(found, asked);
  return { interface: found, version, name: version === '' ? id : `${id}@${version}` };
}

function unknownInterface(name: string, id: string): InputError {
  const ids = INTERFACES.map((candidate) => candidate.id);
  const near = nearest(id, ids);
  return new InputError(
    'interface/unknown',
    `there is no interface '${name}'`,
    near.length > 0
      ? `did you mean ${near.map((n) => `'${n}'`).join(' or ')}? Known are: ${ids.join(', ')}.`
      : `known are: ${ids.join(', ')}.`,
  );
}

function unknownVersion(found: HypervisorInterface, asked: string): InputError {
  return new InputError(
    'interface/unknown-version',
    `the interface ${found.id} has no version '${asked}'`,
    found.versions.length > 0
      ? `known are: ${found.versions.map((v) => `${found.id}@${v}`).join(', ')}.`
      : `it has no versions: say just '${found.id}'.`,
  );
}

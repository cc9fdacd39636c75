// The door of the catalogue: every operation, by id, by group and by vocabulary.

import * as catalogue from './catalogue/index.gen.ts';
import { GROUPS, groupOf, type LinuxVersion, type Operation, slotName } from './define.ts';

export {
  type DebateClass,
  GROUPS,
  type Group,
  groupOf,
  LINUX_VERSIONS,
  type LinuxVersion,
  linuxName,
  MECHANISMS,
  type Mechanism,
  type Operation,
  referencesOf,
  signatureOf,
  slotName,
} from './define.ts';
export {
  bindingIn,
  defineGuest,
  GUEST_CALLS,
  GUEST_OPERATIONS,
  type GuestBinding,
  type GuestClock,
  type GuestCode,
  type GuestNote,
  type GuestOperation,
  type GuestOperationId,
  type GuestRefusal,
  type GuestRegister,
  type GuestStart,
  type GuestTraits,
  KERNEL_LABELS,
  KERNEL_SELECTORS,
  KERNEL_VECTORS,
  REFUSALS_MAX,
} from './guest.ts';

type Families = typeof catalogue;
type OperationOf<Family> = Family[keyof Family];
/** The id of every operation there is: a misspelt one does not compile. */
export type OperationId = Extract<
  { [Name in keyof Families]: OperationOf<Families[Name]> }[keyof Families],
  Operation
>['id'];

/** By group, and in a group by id. */
export const OPERATIONS: readonly Operation<OperationId>[] = Object.values(catalogue)
  .flatMap((family): Operation<OperationId>[] => Object.values(family))
  .sort(
    (a, b) => GROUPS.indexOf(groupOf(a)) - GROUPS.indexOf(groupOf(b)) || (a.id < b.id ? -1 : 1),
  );

const BY_ID: ReadonlyMap<string, Operation<OperationId>> = new Map(
  OPERATIONS.map((op) => [op.id, op]),
);

export const findOperation = (id: string): Operation<OperationId> | null => BY_ID.get(id) ?? null;

/** The slots of the structure, or structures, of one version: in any configuration. */
export const vocabulary = (version: LinuxVersion): Operation<OperationId>[] =>
  OPERATIONS.filter((op) => slotName(op, version) !== null);

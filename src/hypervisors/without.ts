// An interface with parts left out: what would a kernel do on one that never had them?

import { InputError } from '../base/errors.ts';
import { OPERATIONS } from '../ops/index.ts';
import type { InterfaceChoice } from './define.ts';
import { entryPointsOf, otherEntryPoints } from './manifest.ts';
import { nearest } from './nearest.ts';

/** A part that is left out, and how often the guest has asked for it. */
export interface Omission {
  readonly name: string;
  asked: number;
}

export interface Omitting {
  readonly on: InterfaceChoice;
  readonly omissions: readonly Omission[];
}

/** The same interface without entry points (`mmuext_op.MMUEXT_PIN_L4_TABLE`) and feature bits, of one run. */
export function withoutParts(on: InterfaceChoice, names: readonly string[]): Omitting {
  const omissions = [...new Set(names)].map((name) => ({ name: knownPart(on, name), asked: 0 }));
  if (omissions.length === 0) return { on, omissions };
  const lacks = (name: string): boolean => {
    const omission = omissions.find((known) => known.name === name);
    if (omission) omission.asked++;
    return omission !== undefined;
  };
  const { interface: whole, version } = on;
  return {
    on: {
      version,
      name: `${on.name} without ${omissions.map(({ name }) => name).join(', ')}`,
      interface: {
        ...whole,
        attach: (platform, attached) => whole.attach({ ...platform, lacks }, attached),
      },
    },
    omissions,
  };
}

/** Everything that may be left out of it. */
export function omittableParts({ interface: on, version }: InterfaceChoice): string[] {
  const { kinds, features } = on.omits ?? { kinds: [], features: [] };
  const entries = [
    ...OPERATIONS.flatMap((op) => entryPointsOf(on.ops, op, version)),
    ...otherEntryPoints(on.ops, version),
  ];
  const calls = entries.filter(({ by, status }) => kinds.includes(by) && status === undefined);
  return [...new Set([...calls.map(({ name }) => name), ...features])].sort();
}

function knownPart(on: InterfaceChoice, name: string): string {
  const parts = omittableParts(on);
  if (parts.includes(name)) return name;
  const last = (text: string) => text.slice(text.lastIndexOf('.') + 1);
  const near = [...parts.filter((part) => last(part) === name), ...nearest(name, parts)];
  throw new InputError(
    'interface/unknown-part',
    parts.length === 0
      ? `nothing can be left out of ${on.name}`
      : `${on.name} has no part '${name.slice(0, 80)}' that could be left out`,
    near.length > 0
      ? `did you mean ${[...new Set(near)]
          .slice(0, 5)
          .map((part) => `'${part}'`)
          .join(' or ')}?`
      : `see its entry points with: pvops ops --on ${on.name}`,
  );
}

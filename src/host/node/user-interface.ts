// Interfaces of the user's own: a module that exports one, loaded by its path.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InputError } from '../../base/errors.ts';
import type { InterfaceChoice } from '../../lab/index.ts';

type UserInterface = InterfaceChoice['interface'];

export const looksLikePath = (name: string): boolean => /[/\\]|\.[cm]?js$/.test(name);

/** `./mine.mjs`, or `./mine.mjs@2` for one of its versions. */
export async function loadInterface(name: string): Promise<InterfaceChoice> {
  const [, path = name, asked] = /^(.*\.[cm]?js)@([^/\\]+)$/.exec(name) ?? [];
  const found = Object.values(await load(path)).filter(isInterface);
  const [only] = found;
  if (!only || found.length > 1) {
    throw new InputError(
      'host/no-interface',
      `${path} exports ${found.length === 0 ? 'no interface' : 'several interfaces'}`,
      'it should export one value made by defineInterface (docs/new-interface.md).',
    );
  }
  const version = asked ?? only.versions[0] ?? '';
  if (asked !== undefined && !only.versions.includes(asked)) {
    throw new InputError(
      'interface/unknown-version',
      `the interface ${only.id} has no version '${asked}'`,
      only.versions.length > 0 ? `known are: ${only.versions.join(', ')}.` : 'it has no versions.',
    );
  }
  return { interface: only, version, name: version === '' ? only.id : `${only.id}@${version}` };
}

async function load(path: string): Promise<Record<string, unknown>> {
  try {
    return await import(/* @vite-ignore */ pathToFileURL(resolve(path)).href);
  } catch (error) {
    throw new InputError(
      'host/interface-file',
      `${path} cannot be loaded: ${error instanceof Error ? error.message : String(error)}`,
      'give a JavaScript module (.mjs) that runs in this Node.',
    );
  }
}

/** As much as can be seen from outside. */
function isInterface(value: unknown): value is UserInterface {
  if (typeof value !== 'object' || value === null) return false;
  const { id, title, versions, guestNeeds, machines, policy, ops, attach } =
    value as Partial<UserInterface>;
  const lists = [versions, guestNeeds, machines].every(Array.isArray);
  const named = typeof id === 'string' && typeof title === 'string';
  const parts = typeof policy === 'object' && typeof ops === 'object';
  return named && lists && parts && typeof attach === 'function';
}

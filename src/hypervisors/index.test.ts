// Interfaces by name, and what is said to a name that nobody has.

import { describe, expect, it } from 'vitest';
import { findInterface, INTERFACES, nearest } from './index.ts';

const refusal = (name: string) => {
  try {
    findInterface(name);
  } catch (error) {
    return error as { code: string; hint: string };
  }
  return null;
};

describe('an interface name', () => {
  it('finds the newest version when it names none', () => {
    expect(findInterface('kvm').name).toBe('kvm@6.1');
    expect(findInterface('native').name).toBe('native');
    expect(findInterface('kvm@2.6.32').version).toBe('2.6.32');
  });

  it('that is misspelt is answered with what was probably meant', () => {
    expect(refusal('kmv')).toMatchObject({ code: 'interface/unknown' });
    expect(refusal('kmv')?.hint).toContain("'kvm'");
    expect(refusal('nativ')?.hint).toContain("'native'");
  });

  it('is refused with a version that it does not have', () => {
    for (const name of ['kvm@9', 'kvm@', 'native@1']) {
      expect(refusal(name)?.code).toBe('interface/unknown-version');
    }
    expect(refusal('kvm@6.1@6.1')?.code).toBe('interface/unknown');
  });

  it('is in lower case, and unique', () => {
    const ids = INTERFACES.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const id of ids) expect(id).toMatch(/^[a-z][a-z-]*$/);
  });
});

describe('the nearest names', () => {
  it('are those within two edits, the nearest first', () => {
    expect(nearest('xen-p', ['xen-pvh', 'xen-pv', 'kvm'])).toEqual(['xen-pvh', 'xen-pv']);
    expect(nearest('zzzz', ['kvm', 'native'])).toEqual([]);
    expect(nearest('', ['kvm'])).toEqual([]);
  });

  it('of an endless word are found in bounded time', () => {
    expect(nearest('k'.repeat(1e6), ['kvm'])).toEqual([]);
  });
});

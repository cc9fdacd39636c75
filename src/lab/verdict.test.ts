// What a kernel lacks for an interface, by the names that options had in its release.

import { expect, it } from 'vitest';
import { findInterface } from '../hypervisors/index.ts';
import { absent } from './verdict.ts';

const { interface: xenPv } = findInterface('xen-pv');
const kernel = (version: string, ...options: readonly string[]) => ({
  version: () => version,
  config: () => new Map(options.map((name) => [name, 'y'])),
});

it('a kernel of before 4.13 is built for xen-pv by CONFIG_XEN', () => {
  const built = ['CONFIG_PARAVIRT', 'CONFIG_XEN'];
  for (const version of ['2.6.32-5-xen-686 (root@host)', '3.16.0', '4.12.1'])
    expect(absent(xenPv, kernel(version, ...built))).toBeNull();
  expect(absent(xenPv, kernel('2.6.32', 'CONFIG_PARAVIRT'))?.reason).toMatch(/lacks CONFIG_XEN$/);
});

it('one of today may have CONFIG_XEN for PVH alone', () => {
  for (const version of ['4.13.0', '6.1.0-56-686-pae', ''])
    expect(absent(xenPv, kernel(version, 'CONFIG_PARAVIRT', 'CONFIG_XEN'))?.reason).toMatch(
      /lacks CONFIG_XEN_PV$/,
    );
});

it('a kernel that does not show its configuration is not absent', () => {
  expect(absent(xenPv, { version: () => '2.6.32', config: () => null })).toBeNull();
});

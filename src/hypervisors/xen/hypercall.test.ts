// Calls as guests make them: registers by mode, errors, and calls within calls.

import { describe, expect, it } from 'vitest';
import { featureInfo } from './abi/version.ts';
import { multicallEntry } from './abi/xen.ts';
import { defineHypercall } from './define.ts';
import { ARG, testDomain } from './testing/domain.ts';

const XEN_VERSION = 17;
const MULTICALL = 13;
const ENTRIES = ARG + 0x1000;
const NOWHERE = 0x4000_0000;

/** Counts to its argument, a few at a time. */
const counter = defineHypercall({
  number: 63,
  name: 'counter',
  ref: 'this test',
  callers: ['pv64', 'pv32', 'hvm'],
  args: { done: 'u32', total: 'u32' },
  handle: (call, { done, total }) =>
    done + 10 < total ? call.continueLater({ done: done + 10 }) : total,
});

describe('a hypercall', () => {
  it('takes 64-bit registers from 64-bit guests and 32-bit ones from others', () => {
    expect(testDomain('hvm').call(XEN_VERSION, 0, 0)).toBe(0x40011);
    expect(testDomain('pv64').call(XEN_VERSION, 0, 0)).toBe(0x40011);
    expect(testDomain('pv32').call(XEN_VERSION, 0, 0)).toBe(0x40011);
  });

  it('that nobody has is -ENOSYS, in the upper half of the number too', () => {
    const { call } = testDomain();
    expect([call(11), call(64), call(2 ** 32 + 17, 0, 0), call(-1)]).toEqual([-38, -38, -38, -38]);
  });

  it('answers -ENOSYS to a sub-operation that is not there, and says so once', () => {
    const { call, domain } = testDomain();
    expect([call(XEN_VERSION, 99, 0), call(XEN_VERSION, 99, 0)]).toEqual([-38, -38]);
    expect(domain.state.log).toEqual(['xen_version: there is no sub-operation 99']);
  });

  it.each(['xen_version', 'xen_version.XENVER_version'])(
    'is -ENOSYS where %s is left out',
    (part) => {
      const test = testDomain();
      Object.assign(test.platform, { lacks: (name: string) => name === part });
      expect(test.call(XEN_VERSION, 0, 0)).toBe(-38);
      // XENVER_pagesize
      expect(test.call(XEN_VERSION, 7, 0)).toBe(part === 'xen_version' ? -38 : 4096);
    },
  );

  it('that has much to do goes on where it was, with its arguments moved', () => {
    const test = testDomain('hvm', [counter]);
    expect(test.call(63, 0, 35)).toBe(35);
    expect(test.told).toEqual(['rewind', 'rewind', 'rewind']);
  });
});

describe('multicall', () => {
  it.each(['hvm', 'pv64', 'pv32'] as const)('gives each entry its result (%s)', (caller) => {
    const test = testDomain(caller, [counter]);
    const { size } = caller === 'pv32' ? multicallEntry.narrow : multicallEntry.wide;
    const features = test.put(featureInfo, { submap_idx: 0 });
    const entry = (op: number, ...args: number[]) => ({
      op,
      result: 0,
      args: [...args, 0, 0, 0, 0, 0, 0].slice(0, 6),
    });
    test.put(multicallEntry, entry(XEN_VERSION, 0, 0), ENTRIES);
    test.put(multicallEntry, entry(XEN_VERSION, 6, features), ENTRIES + size);
    test.put(multicallEntry, entry(63, 0, 25), ENTRIES + 2 * size);
    expect(test.call(MULTICALL, ENTRIES, 3)).toBe(0);
    const results = [0, 1, 2].map((n) => test.get(multicallEntry, ENTRIES + n * size).result);
    expect(results).toEqual([0x40011, 0, 25]);
    expect(test.get(featureInfo).submap).not.toBe(0);
  });

  it('of more entries than one turn has goes on', () => {
    const test = testDomain();
    const bytes = multicallEntry.wide.size;
    for (let n = 0; n < 200; n++)
      test.put(multicallEntry, { op: XEN_VERSION, args: [0, 0, 0, 0, 0, 0] }, ENTRIES + n * bytes);
    expect(test.call(MULTICALL, ENTRIES, 200)).toBe(0);
    expect(test.told.filter((what) => what === 'rewind')).toHaveLength(3);
    expect(test.get(multicallEntry, ENTRIES + 199 * bytes).result).toBe(0x40011);
  });

  it('of a list that is not there is -EFAULT', () => {
    expect(testDomain().call(MULTICALL, NOWHERE, 1)).toBe(-14);
    expect(testDomain().call(MULTICALL, 2 ** 62, 0xffff_ffff)).toBe(-14);
  });
});

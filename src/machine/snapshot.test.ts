// Tests of snapshots: copy, assign in place, refusal of other shapes, and the stable byte form.

import { expect, test } from 'vitest';
import { assignState, copyState, type Plain, SnapshotSlots, stateBytes } from './snapshot.ts';

test('a copy shares nothing, and assigning it back keeps the identity of every object', () => {
  const state = { n: 1, list: [{ x: 1 }, { x: 2 }], bytes: Uint8Array.of(1, 2), flag: true };
  const inner = state.list[0]!;
  const copy = copyState(state as Plain);
  inner.x = 99;
  state.bytes[0] = 99;
  state.n = 99;
  state.flag = false;
  assignState(state as Plain, copy, 'state');
  expect(state).toEqual({
    n: 1,
    list: [{ x: 1 }, { x: 2 }],
    bytes: Uint8Array.of(1, 2),
    flag: true,
  });
  expect(state.list[0]).toBe(inner);
});

test('a snapshot of another shape is wrong input, not a crash', () => {
  const refused = (target: Plain, source: Plain) =>
    expect(() => assignState(target, source, 's')).toThrow(
      expect.objectContaining({ code: 'machine/snapshot' }),
    );
  refused({ a: 1 }, {});
  refused({ a: 1 }, { a: 'x' });
  refused({ a: new Uint8Array(2) }, { a: new Uint8Array(3) });
  refused({ a: new Uint8Array(2) }, { a: [1, 2] });
  refused({ a: [1] }, { a: { 0: 1 } });
  const slots = new SnapshotSlots();
  slots.addState('one', { a: 1 });
  expect(() => slots.restore({ version: 1, slots: {} })).toThrow(/no slot one/);
  expect(() => slots.restore({ version: 2, slots: {} })).toThrow(/version 2/);
});

test('equal states have equal bytes whatever the order of their fields; different states differ', () => {
  const base = stateBytes({ a: 1, b: { c: 'x', d: [true, 2] } });
  expect(stateBytes({ b: { d: [true, 2], c: 'x' }, a: 1 })).toEqual(base);
  expect(stateBytes({ a: 1, b: { c: 'x', d: [false, 2] } })).not.toEqual(base);
  expect(stateBytes({ a: 1, b: { c: 'y', d: [true, 2] } })).not.toEqual(base);
  expect(stateBytes({ z: -0 })).toEqual(stateBytes({ z: 0 }));
  expect(stateBytes(new Uint8Array(10000))).toHaveLength(10010);
});

test('elements of arrays are bytes where they have one, else little-endian doubles', () => {
  const one = [0, 0, 0, 0, 0, 0, 0xf0, 0x3f];
  const head = (size: number) => [5, size, ...one];
  const max = [0, 0, 0xe0, 0xff, 0xff, 0xff, 0xef, 0x41];
  expect([...stateBytes(Uint8Array.of(200))]).toEqual([...head(1), 200]);
  expect([...stateBytes(Uint16Array.of(1))]).toEqual([...head(2), ...one]);
  expect([...stateBytes(Uint32Array.of(0xffffffff))]).toEqual([...head(4), ...max]);
  expect(stateBytes(Float64Array.of(-0))).toEqual(stateBytes(Float64Array.of(0)));
});

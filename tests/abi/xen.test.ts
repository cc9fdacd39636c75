// Our layouts of Xen's structures against Xen's public headers, in both word sizes.

import { describe, expect, it } from 'vitest';
import * as control from '../../src/hypervisors/xen/abi/control.ts';
import * as eventChannel from '../../src/hypervisors/xen/abi/event-channel.ts';
import * as grantTable from '../../src/hypervisors/xen/abi/grant-table.ts';
import * as hvm from '../../src/hypervisors/xen/abi/hvm.ts';
import * as io from '../../src/hypervisors/xen/abi/io.ts';
import * as memory from '../../src/hypervisors/xen/abi/memory.ts';
import * as sched from '../../src/hypervisors/xen/abi/sched.ts';
import * as vcpu from '../../src/hypervisors/xen/abi/vcpu.ts';
import * as version from '../../src/hypervisors/xen/abi/version.ts';
import * as xen from '../../src/hypervisors/xen/abi/xen.ts';
import * as physdev from '../../src/hypervisors/xen-pv/physdev-abi.ts';
import { assertions, canCompile, compile, digest, isXenStruct } from '../../tools/abi-check.ts';

const XEN = [control, eventChannel, grantTable, hvm, io, memory, sched, vcpu, version, xen];
const MODULES = [...XEN, physdev];
const STRUCTS = MODULES.flatMap((module) => Object.values(module).filter(isXenStruct));
/** Of the assertions that libxen-dev 4.17.5 was last seen to fulfil: for hosts without it. */
const CHECKED = '8d2ca902223ea01a11b2355eb45929113e12eb1ad1300538bb7feaab92689328';

describe('the layouts of Xen', () => {
  it('are those that were last checked against the headers', () => {
    expect(STRUCTS.length).toBeGreaterThan(30);
    expect(digest([assertions(STRUCTS, true), assertions(STRUCTS, false)])).toBe(CHECKED);
  });

  it.skipIf(!canCompile())('are those of the headers, with 64-bit and with 32-bit words', () => {
    expect(compile(assertions(STRUCTS, true), true)).toBe('');
    expect(compile(assertions(STRUCTS, false), false)).toBe('');
  });
});

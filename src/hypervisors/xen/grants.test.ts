// Grant tables: size, versions, what the host may map, copies, and what is refused.

import { describe, expect, it } from 'vitest';
import * as abi from './abi/grant-table.ts';
import { grantFrame } from './grant-frames.ts';
import { grantedPage, mapGrant, readGrant, seedGrants, unmapGrant } from './grants.ts';
import { ARG, testDomain } from './testing/domain.ts';

const GRANT = 20;
const SELF = 0x7ff0;
const NOWHERE = 0x4000_0000;

function withTable() {
  const test = testDomain('pv64');
  const { ram } = test.platform;
  const table = grantFrame(test.domain, 0);
  const grant = (ref: number, frame: number, flags: number = abi.GTF_permit_access, domid = 0) => {
    ram.setU16(table + ref * 8, flags);
    ram.setU16(table + ref * 8 + 2, domid);
    ram.setU32(table + ref * 8 + 4, frame);
  };
  const setVersion = (version: number) =>
    test.call(GRANT, 8, test.put(abi.gnttabSetVersion, { version }), 1);
  return { ...test, test, table, grant, setVersion };
}

describe('the table', () => {
  it('GNTTABOP_query_size and GNTTABOP_setup_table: one frame at first, 64 at most', () => {
    const { test, call, put, get, table } = withTable();
    expect(call(GRANT, 6, put(abi.gnttabQuerySize, { dom: SELF }), 1)).toBe(0);
    expect(get(abi.gnttabQuerySize)).toMatchObject({ nr_frames: 1, max_nr_frames: 64, status: 0 });
    const setup = (nr_frames: number, dom = SELF) =>
      call(GRANT, 2, put(abi.gnttabSetupTable, { dom, nr_frames, frame_list: ARG + 0x800 }), 1);
    expect([setup(2), get(abi.gnttabSetupTable).status]).toEqual([0, 0]);
    expect(test.platform.ram.u32(ARG + 0x800)).toBe(table / 4096);
    expect([setup(65), get(abi.gnttabSetupTable).status]).toEqual([0, abi.GNTST_general_error]);
    expect([setup(1, 0), get(abi.gnttabSetupTable).status]).toEqual([
      0,
      abi.GNTST_permission_denied,
    ]);
    expect([setup(1, 9), get(abi.gnttabSetupTable).status]).toEqual([0, abi.GNTST_bad_domain]);
  });

  it('GNTTABOP_set_version changes while nothing is mapped; GNTTABOP_get_version and GNTTABOP_get_status_frames follow', () => {
    const { call, put, get, grant, setVersion, domain } = withTable();
    expect([setVersion(3), setVersion(1), setVersion(2)]).toEqual([-22, 0, 0]);
    expect(call(GRANT, 10, put(abi.gnttabGetVersion, { dom: SELF }), 1)).toBe(0);
    expect(get(abi.gnttabGetVersion).version).toBe(2);
    const frames = () =>
      call(
        GRANT,
        9,
        put(abi.gnttabGetStatusFrames, { dom: SELF, nr_frames: 1, frame_list: ARG + 0x800 }),
        1,
      );
    expect([frames(), get(abi.gnttabGetStatusFrames).status]).toEqual([0, 0]);
    setVersion(1);
    expect([frames(), get(abi.gnttabGetStatusFrames).status]).toEqual([0, abi.GNTST_general_error]);
    grant(9, 0x200);
    mapGrant(domain, 9);
    expect(setVersion(2)).toBe(-16);
    expect([0, 9].map((dom) => call(GRANT, 10, put(abi.gnttabGetVersion, { dom }), 1))).toEqual([
      -1, -3,
    ]);
  });

  it('knows fewer operations for a guest of translated memory', () => {
    const { call } = testDomain('hvm');
    expect([4, 7, 9, 12].map((op) => call(GRANT, op, ARG, 1))).toEqual([-38, -38, -38, -38]);
  });

  it('GNTTABOP_swap_grant_ref changes two entries, unless one is mapped', () => {
    const { call, put, get, grant, domain } = withTable();
    grant(9, 0x200);
    const swap = (ref_a: number, ref_b: number) => {
      expect(call(GRANT, 11, put(abi.gnttabSwapGrantRef, { ref_a, ref_b }), 1)).toBe(0);
      return get(abi.gnttabSwapGrantRef).status;
    };
    expect([swap(9, 10), readGrant(domain, 10)?.frame, swap(9, 100_000)]).toEqual([0, 0x200, -3]);
    mapGrant(domain, 10);
    expect(swap(9, 10)).toBe(abi.GNTST_eagain);
  });

  it('GNTTABOP_dump_table is refused, and GNTTABOP_cache_flush if it says what to do', () => {
    const { call, put } = withTable();
    const flush = (length: number, op: number, lo = 0x5000) =>
      call(GRANT, 12, put(abi.gnttabCacheFlush, { dev_bus_addr: { lo, hi: 0 }, length, op }), 1);
    expect([call(GRANT, 3, ARG, 1), flush(0, 1), flush(8, 0)]).toEqual([-38, 0, 0]);
    expect([flush(4097, 0), flush(8, 1), flush(8, 1, 0xf000_0000)]).toEqual([-22, -95, -1]);
    expect(call(GRANT, 12, NOWHERE, 1)).toBe(-14);
  });

  it.each([0, 1, 4, 5, 7, 11])('sub-operation %i on memory that is not there is -EFAULT', (op) => {
    expect(withTable().call(GRANT, op, NOWHERE, 1)).toBe(-14);
  });

  it('GNTTABOP_map_grant_ref, GNTTABOP_unmap_grant_ref, GNTTABOP_unmap_and_replace and GNTTABOP_transfer find nothing of others', () => {
    const { call, put, get } = withTable();
    const map = (dom: number) => {
      call(GRANT, 0, put(abi.gnttabMapGrantRef, { dom, flags: abi.GNTMAP_host_map }), 1);
      return get(abi.gnttabMapGrantRef).status;
    };
    expect([map(0), map(9)]).toEqual([abi.GNTST_bad_gntref, abi.GNTST_bad_domain]);
    call(GRANT, 1, put(abi.gnttabUnmapGrantRef, { handle: 5 }), 1);
    expect(get(abi.gnttabUnmapGrantRef).status).toBe(abi.GNTST_bad_handle);
    call(GRANT, 7, put(abi.gnttabUnmapAndReplace, { handle: 5 }), 1);
    expect(get(abi.gnttabUnmapAndReplace).status).toBe(abi.GNTST_bad_handle);
    call(GRANT, 4, put(abi.gnttabTransfer, { domid: 9 }), 1);
    expect(get(abi.gnttabTransfer).status).toBe(abi.GNTST_bad_domain);
  });
});

describe('a grant to the host', () => {
  it('must be of access, to the host, and of a frame that is there', () => {
    const { domain, grant } = withTable();
    grant(8, 0x200);
    grant(9, 0x200, abi.GTF_permit_access, 5);
    grant(10, 0x200, abi.GTF_accept_transfer);
    grant(11, 0xffff_ffff);
    grant(12, 0x200, abi.GTF_permit_access | abi.GTF_readonly);
    const pages = [8, 9, 10, 11, 12, 13, 0xffff_ffff].map((ref) => grantedPage(domain, ref, true));
    expect(pages).toEqual([0x20_0000, -1, -1, -1, -1, -1, -1]);
    expect(grantedPage(domain, 12, false)).toBe(0x20_0000);
  });

  it('shows as in use from the first mapping to the last unmapping', () => {
    const { domain, grant, table, platform } = withTable();
    grant(8, 0x200);
    mapGrant(domain, 8);
    mapGrant(domain, 8);
    unmapGrant(domain, 8);
    expect(platform.ram.u16(table + 64)).toBe(
      abi.GTF_permit_access | abi.GTF_reading | abi.GTF_writing,
    );
    unmapGrant(domain, 8);
    expect(platform.ram.u16(table + 64)).toBe(abi.GTF_permit_access);
  });
});

describe('GNTTABOP_copy', () => {
  const copy = (over: object = {}) => {
    const made = withTable();
    made.grant(8, 0x200, abi.GTF_permit_access | abi.GTF_readonly, 1);
    made.platform.ram.setU32(0x20_0010, 0x1234_5678);
    const arg = {
      source: { frame: 8, domid: SELF, offset: 0x10 },
      dest: { frame: 0x201, domid: SELF, offset: 0 },
      len: 4,
      flags: abi.GNTCOPY_source_gref,
      ...over,
    };
    expect(made.call(GRANT, 5, made.put(abi.gnttabCopy, arg), 1)).toBe(0);
    return { status: made.get(abi.gnttabCopy).status, ram: made.platform.ram };
  };

  it('moves bytes from a granted frame to one of its own', () => {
    const { status, ram } = copy();
    expect([status, ram.u32(0x20_1000)]).toEqual([0, 0x1234_5678]);
  });

  it.each([
    ['beyond the end of a frame', { len: 4090 }, abi.GNTST_bad_copy_arg],
    [
      'of a reference that grants nothing',
      { source: { frame: 9, domid: SELF, offset: 0 } },
      abi.GNTST_bad_gntref,
    ],
    [
      'of a domain that is not there',
      { source: { frame: 8, domid: 7, offset: 0 } },
      abi.GNTST_bad_domain,
    ],
    [
      'to frames of the control domain',
      { dest: { frame: 1, domid: 0, offset: 0 } },
      abi.GNTST_permission_denied,
    ],
    [
      'to a frame that is not there',
      { dest: { frame: 0xfffff, domid: SELF, offset: 0 } },
      abi.GNTST_bad_page,
    ],
    [
      'into a read-only grant',
      {
        dest: { frame: 8, domid: SELF, offset: 0 },
        flags: abi.GNTCOPY_source_gref | abi.GNTCOPY_dest_gref,
      },
      abi.GNTST_general_error,
    ],
  ])('is refused %s', (_what, over, status) => {
    expect(copy(over).status).toBe(status);
  });
});

describe('the reserved entries', () => {
  const seeded = () => {
    const test = testDomain('pv64');
    seedGrants(test.domain, { console: 0x30_0000, store: 0x31_0000 });
    const at = test.domain.state.grants.frames[0]!;
    const { ram } = test.platform;
    return { ...test, flags: (ref: number) => ram.u16(at + ref * 8), ram, at };
  };

  it('grant console and store to the control domain, which has them mapped', () => {
    const { flags, ram, at } = seeded();
    expect([flags(0), flags(1), flags(2)]).toEqual([0x19, 0x19, 0]);
    expect([ram.u32(at + 4), ram.u32(at + 12), ram.u16(at + 2)]).toEqual([0x300, 0x310, 0]);
  });

  it('do not change places, and do not keep a guest from changing the version', () => {
    const { call, put, get, domain, ram, at } = seeded();
    call(GRANT, 11, put(abi.gnttabSwapGrantRef, { ref_a: 5, ref_b: 1 }), 1);
    expect(get(abi.gnttabSwapGrantRef).status).toBe(abi.GNTST_eagain);
    expect(call(GRANT, 8, put(abi.gnttabSetVersion, { version: 2 }), 1)).toBe(0);
    // In version 2 who has it mapped stands beside the entry.
    expect([ram.u16(at + 16), ram.u16(domain.state.grants.statusFrames[0]! + 2)]).toEqual([
      1, 0x18,
    ]);
    expect(call(GRANT, 8, put(abi.gnttabSetVersion, { version: 1 }), 1)).toBe(0);
    expect(ram.u16(at + 8)).toBe(0x19);
  });
});

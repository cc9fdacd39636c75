// Debian on Xen, PV and PVH: its root on xvda, a checked transfer between two cards, and everything that is asked of a domain.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pulledKernel, titleOf } from './boot.ts';
import { checkExt4, readFromExt4 } from './ext4.ts';
import { haveAll } from './host-tools.ts';
import { bootFromXvda } from './xen-root.ts';

const NAME = 'debian:12/cloud-amd64';
const pulled = await pulledKernel(NAME);
const tools = haveAll('mke2fs', 'fsck.ext4', 'debugfs');

const WORK = `
mount | grep 'xvda on / '
echo before the remount > /kept; sync; mount -o remount,ro /; cat /kept; mount -o remount,rw /
unshare -n sleep 1000 &
other=$!
while [ "$(readlink /proc/$other/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do usleep 1000; done
ip link set eth1 netns $other
there() { nsenter -t $other -n "$@"; }
there sh -c 'ip addr add 10.0.0.2/24 dev eth1; ip link set eth1 up'
ip addr add 10.0.0.1/24 dev eth0; ip link set eth0 up
ping -c 2 10.0.0.2 | grep received
dd if=/dev/urandom of=/sent bs=64k count=160 2>/dev/null
mkfifo /open # What has no input ends its own side of the connection at once.
there nc -l -p 5000 <> /open > /received &
usleep 10000
nc 10.0.0.2 5000 < /sent
wait $!
ls -l /received | grep -o 10485760
cmp /sent /received && echo TRANSFERRED
rm /sent /received
grep MemTotal /proc/meminfo
echo SUSPEND-NOW
until dmesg | grep -q 'Restarting tasks'; do sleep 1; done
ping -c 2 10.0.0.2 | grep received
echo after the suspend >> /kept; sync
cat /sys/devices/system/clocksource/clocksource0/current_clocksource
until grep -q 'MemTotal: *2[0-9]\\{5\\} kB' /proc/meminfo; do sleep 1; done
echo BALLOONED
kill $other; wait $other
`;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'pvops-xen-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!pulled || !tools).each(['xen-pvh', 'xen-pv'])(
  `%s: ${titleOf(NAME, pulled)}`,
  (on) => {
    let booted: Awaited<ReturnType<typeof bootFromXvda>>;
    beforeAll(async () => {
      booted = await bootFromXvda(NAME, on, WORK, folder, {
        requests: [
          { atNanos: 8e9, what: 'sysrq h' },
          { atNanos: 9e9, what: 'suspend' },
          { atNanos: 12e9, what: 'balloon 320' },
          { atNanos: 16e9, what: 'poweroff' },
        ],
      });
    }, 900_000);

    it('has its root on xvda, and keeps what it writes over a remount, a suspend, and for the host', () => {
      expect(booted.console).toMatch(/^\/dev\/xvda on \/ type ext4/m);
      expect(booted.console).toMatch(/^before the remount\r?$/m);
      expect(readFromExt4(booted.image, '/kept')).toBe('before the remount\nafter the suspend\n');
      expect(() => checkExt4(booted.image)).not.toThrow();
    });

    it('carries 10 MB between two network name spaces unchanged', () => {
      expect(booted.console).toMatch(
        /2 packets received[\s\S]*^10485760\r?$[\s\S]*^TRANSFERRED\r?$/m,
      );
    });

    it('hears sysrq, suspends and goes on with new rings, gives memory back, and switches itself off', () => {
      expect(booted.console).toContain('sysrq: HELP');
      expect(booted.console).toMatch(
        /SUSPEND-NOW[\s\S]*Restarting tasks[\s\S]*2 packets received[\s\S]*^xen\r?$[\s\S]*^BALLOONED\r?$[\s\S]*^UNMOUNTED\r?$/m,
      );
      expect([booted.verdict, booted.reason]).toEqual(['up', 'the guest switched itself off']);
      expect(booted.console).not.toMatch(/BUG:|WARNING:|Call Trace|I\/O error/);
    });
  },
);

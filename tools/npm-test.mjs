// `npm test`: installs locked packages if they are missing, runs vitest, and ends with `N passed, N failed`.

import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { installLockedPackages, root } from './locked-packages.mjs';

installLockedPackages();
const scratch = mkdtempSync(join(tmpdir(), 'pvops-test-'));
const report = join(scratch, 'report.json');
const status = await runVitest(process.argv.slice(2));
const { passed, failed, skipped } = count(status);
rmSync(scratch, { recursive: true });

if (skipped > 0) process.stdout.write(`${skipped} skipped\n`);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;

function runVitest(args) {
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [vitest, 'run', ...reporters, ...args], {
      cwd: root,
      stdio: 'inherit',
    });
    process.on('SIGINT', () => {}); // The terminal sends it to vitest too, which reports and ends.
    child.on('close', (code, signal) => resolve(signal ? 1 : (code ?? 1)));
  });
}

/** A run that failed without a failed test (a file that does not load, no files at all) is one failure. */
function count(status) {
  const json = existsSync(report) ? JSON.parse(readFileSync(report, 'utf8')) : {};
  const brokenFiles = (json.testResults ?? []).filter(
    (file) => file.status === 'failed' && file.assertionResults.every((t) => t.status !== 'failed'),
  ).length;
  const passed = json.numPassedTests ?? 0;
  const failed = (json.numFailedTests ?? 0) + brokenFiles;
  return {
    passed,
    failed: failed === 0 && (status !== 0 || passed === 0) ? 1 : failed,
    skipped: (json.numPendingTests ?? 0) + (json.numTodoTests ?? 0),
  };
}

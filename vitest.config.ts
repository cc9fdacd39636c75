// Settings of the unit and rule tests; boots of real kernels and mutants of interfaces have their own.

import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

export default defineConfig({
  // Examples import the package as its users do.
  resolve: { alias: { pvops: fileURLToPath(new URL('src/lab/public.ts', import.meta.url)) } },
  test: {
    include: ['src/**/*.test.ts', 'tests/**/*.test.ts', 'bench/**/*.test.ts'],
    exclude: ['tests/boot/**', 'tests/conformance/**', 'node_modules/**', 'dist/**'],
    pool: 'forks',
    maxWorkers: 2,
    // Files share what a worker has loaded: no test changes a module, and loading took a third of the time.
    isolate: false,
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
});

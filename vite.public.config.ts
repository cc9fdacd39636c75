// Builds the package's public door, dist/index.mjs, by which interfaces of the user's own are written.

import { defineConfig } from 'vite';

export default defineConfig({
  ssr: { noExternal: true, target: 'node' },
  build: {
    ssr: 'src/lab/public.ts',
    outDir: 'dist',
    // The command line is there already.
    emptyOutDir: false,
    target: 'node20',
    minify: false,
    rolldownOptions: {
      output: { format: 'es', entryFileNames: 'index.mjs', codeSplitting: false },
    },
  },
});

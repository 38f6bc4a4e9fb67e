// One linter that knows types: an unawaited revocation is a security bug.
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['**/dist', 'src/database/generated', 'data', 'coverage'] },
  {
    files: ['src/**/*.ts', 'packages/*/src/**/*.ts', 'test/**/*.ts', 'packages/lab/test/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ['./tsconfig.check.json', './packages/*/tsconfig.json'],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  {
    files: ['src/**/*.ts'],
    ignores: ['src/main.ts', 'src/cli/gatehouse.ts', 'src/database/driver.ts'],
    rules: {
      'no-restricted-properties': [
        'error',
        {
          object: 'process',
          property: 'env',
          message: 'main.ts and cli/gatehouse.ts read it; take a Config.',
        },
      ],
    },
  },
);

// Whether the service in this container answers: exit status 0 if it does, 1 if not. Slim images have no curl.
const port = process.env.PORT || 3000;
const isHealthy = await fetch(`http://127.0.0.1:${port}/health`).then(
  (answer) => answer.ok,
  () => false,
);
process.exit(isHealthy ? 0 : 1);

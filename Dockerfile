# mlp-gpu in a container.
#
#     docker build --tag mlp-gpu .
#     docker run --rm --user "$(id -u)" --volume "$PWD:/work" mlp-gpu train --data table.csv --target price --save model.safetensors
#
# It trains on the CPU. For an NVIDIA GPU run it with `--gpus all` (the NVIDIA container toolkit brings the driver). For AMD and Intel
# build it with `--build-arg DRIVERS=mesa-vulkan-drivers`, and run it with `--device /dev/dri`.
FROM rust:1-slim-trixie AS build
# TLS and zstd compile C.
RUN apt-get update -qq && \
    apt-get install -y -qq --no-install-recommends gcc libc6-dev && \
    rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    CARGO_PROFILE_RELEASE_STRIP=symbols cargo build --locked --release --bin mlp-gpu && \
    cp target/release/mlp-gpu /usr/local/bin/

FROM debian:trixie-slim
ARG DRIVERS=""
# Vulkan's loader, and what NVIDIA's driver is linked with.
RUN apt-get update -qq && \
    apt-get install -y -qq --no-install-recommends libvulkan1 libxext6 $DRIVERS && \
    rm -rf /var/lib/apt/lists/*
COPY --from=build /usr/local/bin/mlp-gpu /usr/local/bin/
COPY LICENSE-APACHE LICENSE-MIT /usr/share/doc/mlp-gpu/
# The Vulkan driver is among NVIDIA's graphics libraries.
ENV NVIDIA_DRIVER_CAPABILITIES=compute,utility,graphics \
    MLP_GPU_CACHE=/cache
# Any user may be named by --user; what is fetched stays in a volume.
RUN mkdir --mode=1777 /cache /work
VOLUME /cache
WORKDIR /work
USER 1000
ENTRYPOINT ["mlp-gpu"]
CMD ["--help"]

// The part of Metal's language and library that naga writes, in CUDA: so that NVIDIA's compiler reads kernels as they are.
// A program's text follows; nvidia.py adds a kernel around its `main_`.

#define device
#define thread
#define threadgroup
#define constant const

typedef unsigned int uint;

namespace metal {

typedef unsigned int uint;

template <class T, int N> struct Vec;

template <class T> struct alignas(2 * sizeof(T)) Vec<T, 2> {
    T x, y;
    Vec() = default;
    explicit Vec(T v) : x(v), y(v) {}
    Vec(T x, T y) : x(x), y(y) {}
    template <class U> explicit Vec(Vec<U, 2> v) : x(v.x), y(v.y) {}
    T& operator[](uint i) { return (&x)[i]; }
    const T& operator[](uint i) const { return (&x)[i]; }
};

template <class T> struct alignas(4 * sizeof(T)) Vec<T, 3> {
    T x, y, z;
    Vec() = default;
    explicit Vec(T v) : x(v), y(v), z(v) {}
    Vec(T x, T y, T z) : x(x), y(y), z(z) {}
    template <class U> explicit Vec(Vec<U, 3> v) : x(v.x), y(v.y), z(v.z) {}
    T& operator[](uint i) { return (&x)[i]; }
    const T& operator[](uint i) const { return (&x)[i]; }
};

template <class T> struct alignas(4 * sizeof(T)) Vec<T, 4> {
    T x, y, z, w;
    Vec() = default;
    explicit Vec(T v) : x(v), y(v), z(v), w(v) {}
    Vec(T x, T y, T z, T w) : x(x), y(y), z(z), w(w) {}
    template <class U> explicit Vec(Vec<U, 4> v) : x(v.x), y(v.y), z(v.z), w(v.w) {}
    // CUDA's own, which a name without a namespace stands for.
    explicit Vec(::uint4 v) : x(v.x), y(v.y), z(v.z), w(v.w) {}
    T& operator[](uint i) { return (&x)[i]; }
    const T& operator[](uint i) const { return (&x)[i]; }
};

#define VECTORS(T) typedef Vec<T, 2> T##2; typedef Vec<T, 3> T##3; typedef Vec<T, 4> T##4;
VECTORS(bool)
VECTORS(int)
VECTORS(uint)
VECTORS(float)
#undef VECTORS

// Loops over the parts of a vector are unrolled.
#define EACH _Pragma("unroll") for (int i = 0; i < N; i++)

#define OPERATOR(op, R) \
    template <class T, int N> Vec<R, N> operator op(Vec<T, N> a, Vec<T, N> b) { Vec<R, N> c; EACH c[i] = a[i] op b[i]; return c; } \
    template <class T, int N> Vec<R, N> operator op(Vec<T, N> a, T b) { return a op Vec<T, N>(b); } \
    template <class T, int N> Vec<R, N> operator op(T a, Vec<T, N> b) { return Vec<T, N>(a) op b; }
OPERATOR(+, T) OPERATOR(-, T) OPERATOR(*, T) OPERATOR(/, T) OPERATOR(%, T)
OPERATOR(&, T) OPERATOR(|, T) OPERATOR(^, T) OPERATOR(<<, T) OPERATOR(>>, T)
OPERATOR(<, bool) OPERATOR(<=, bool) OPERATOR(>, bool) OPERATOR(>=, bool) OPERATOR(==, bool) OPERATOR(!=, bool)
#undef OPERATOR

template <class T, int N> Vec<T, N> operator-(Vec<T, N> a) { EACH a[i] = -a[i]; return a; }
template <class T, int N> Vec<T, N> operator~(Vec<T, N> a) { EACH a[i] = ~a[i]; return a; }

// Functions of numbers, and of vectors part by part.
#define FUNCTION(name, T, call) \
    inline T name(T a) { return call; } \
    template <int N> Vec<T, N> name(Vec<T, N> v) { EACH v[i] = name(v[i]); return v; }
FUNCTION(abs, float, fabsf(a)) FUNCTION(floor, float, floorf(a)) FUNCTION(ceil, float, ceilf(a)) FUNCTION(rint, float, rintf(a))
FUNCTION(round, float, rintf(a)) FUNCTION(trunc, float, truncf(a)) FUNCTION(sqrt, float, sqrtf(a)) FUNCTION(rsqrt, float, rsqrtf(a))
FUNCTION(exp, float, __expf(a)) FUNCTION(exp2, float, exp2f(a)) FUNCTION(log, float, __logf(a)) FUNCTION(log2, float, __log2f(a))
FUNCTION(sin, float, __sinf(a)) FUNCTION(cos, float, __cosf(a)) FUNCTION(tanh, float, tanhf(a))
FUNCTION(abs, int, a < 0 ? -a : a)
FUNCTION(popcount, uint, __popc(a)) FUNCTION(clz, uint, __clz(a))
#undef FUNCTION

inline float fma(float a, float b, float c) { return __fmaf_rn(a, b, c); }
inline float min(float a, float b) { return fminf(a, b); }
inline float max(float a, float b) { return fmaxf(a, b); }
inline uint min(uint a, uint b) { return a < b ? a : b; }
inline uint max(uint a, uint b) { return a > b ? a : b; }
inline int min(int a, int b) { return a < b ? a : b; }
inline int max(int a, int b) { return a > b ? a : b; }
template <int N> Vec<float, N> fma(Vec<float, N> a, Vec<float, N> b, Vec<float, N> c) {
    EACH c[i] = fma(a[i], b[i], c[i]);
    return c;
}
template <class T, int N> Vec<T, N> min(Vec<T, N> a, Vec<T, N> b) { EACH a[i] = min(a[i], b[i]); return a; }
template <class T, int N> Vec<T, N> max(Vec<T, N> a, Vec<T, N> b) { EACH a[i] = max(a[i], b[i]); return a; }
template <class T> T clamp(T a, T least, T most) { return min(max(a, least), most); }
template <class T, int N> Vec<T, N> clamp(Vec<T, N> a, T least, T most) { return clamp(a, Vec<T, N>(least), Vec<T, N>(most)); }
template <class T> T select(T no, T yes, bool which) { return which ? yes : no; }
template <class T, int N> Vec<T, N> select(Vec<T, N> no, Vec<T, N> yes, Vec<bool, N> which) {
    EACH no[i] = which[i] ? yes[i] : no[i];
    return no;
}
template <int N> float dot(Vec<float, N> a, Vec<float, N> b) { float sum = 0; EACH sum = fma(a[i], b[i], sum); return sum; }
template <int N> bool any(Vec<bool, N> a) { bool is = false; EACH is = is || a[i]; return is; }
template <int N> bool all(Vec<bool, N> a) { bool is = true; EACH is = is && a[i]; return is; }
inline float4 unpack_unorm4x8_to_float(uint bytes) {
    float4 c;
#pragma unroll
    for (int i = 0; i < 4; i++) c[i] = float(bytes >> (8 * i) & 255u) * (1.0f / 255.0f);
    return c;
}
#undef EACH

struct float4x4 {
    float4 columns[4];
    float4x4() = default;
    float4x4(float4 a, float4 b, float4 c, float4 d) { columns[0] = a; columns[1] = b; columns[2] = c; columns[3] = d; }
    float4& operator[](uint i) { return columns[i]; }
    const float4& operator[](uint i) const { return columns[i]; }
};
inline float4x4 operator+(float4x4 a, float4x4 b) { return float4x4(a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]); }
inline float4x4 transpose(float4x4 m) {
    return float4x4(
        float4(m[0].x, m[1].x, m[2].x, m[3].x), float4(m[0].y, m[1].y, m[2].y, m[3].y),
        float4(m[0].z, m[1].z, m[2].z, m[3].z), float4(m[0].w, m[1].w, m[2].w, m[3].w));
}

enum class mem_flags { mem_none, mem_device, mem_threadgroup };
inline void threadgroup_barrier(mem_flags) { __syncthreads(); }
inline void simdgroup_barrier(mem_flags) { __syncwarp(); }

typedef uint atomic_uint;
enum memory_order { memory_order_relaxed };
inline uint atomic_load_explicit(const atomic_uint* at, memory_order) { return *(const volatile uint*)at; }
inline void atomic_store_explicit(atomic_uint* at, uint value, memory_order) { *(volatile uint*)at = value; }
inline uint atomic_fetch_add_explicit(atomic_uint* at, uint value, memory_order) { return atomicAdd(at, value); }

const uint ALL = 0xffffffffu;
template <class T> T simd_shuffle(T value, uint lane) { return __shfl_sync(ALL, value, lane); }
template <class T> T simd_broadcast(T value, uint lane) { return __shfl_sync(ALL, value, lane); }
template <class T> T simd_broadcast_first(T value) { return __shfl_sync(ALL, value, 0); }
template <class T> T simd_shuffle_xor(T value, uint mask) { return __shfl_xor_sync(ALL, value, mask); }
inline float2 simd_shuffle_xor(float2 v, uint mask) { return {simd_shuffle_xor(v.x, mask), simd_shuffle_xor(v.y, mask)}; }
inline float4 simd_shuffle_xor(float4 v, uint mask) {
    return {simd_shuffle_xor(v.x, mask), simd_shuffle_xor(v.y, mask), simd_shuffle_xor(v.z, mask), simd_shuffle_xor(v.w, mask)};
}
template <class T> T simd_shuffle_up(T value, uint by) { return __shfl_up_sync(ALL, value, by); }
template <class T> T simd_shuffle_down(T value, uint by) { return __shfl_down_sync(ALL, value, by); }
template <class T> T simd_sum(T v) { for (int by = 16; by; by /= 2) v += __shfl_xor_sync(ALL, v, by); return v; }
template <class T> T simd_max(T v) { for (int by = 16; by; by /= 2) v = max(v, __shfl_xor_sync(ALL, v, by)); return v; }
template <class T> T simd_min(T v) { for (int by = 16; by; by /= 2) v = min(v, __shfl_xor_sync(ALL, v, by)); return v; }
inline bool simd_any(bool v) { return __any_sync(ALL, v); }
inline bool simd_all(bool v) { return __all_sync(ALL, v); }

}  // namespace metal

template <class T, class U> T as_type(U from) {
    static_assert(sizeof(T) == sizeof(U), "bits are kept");
    T to;
    memcpy(&to, &from, sizeof(T));
    return to;
}

// Beside Metal's namespace, as in its library.
struct packed_uchar4 {
    unsigned char bytes[4];
    operator uint4() const { return make_uint4(bytes[0], bytes[1], bytes[2], bytes[3]); }
};

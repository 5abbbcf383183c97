// Value noise and small curves shared by the materials.
float hash(vec3 p) {
    p = fract(p * vec3(0.1031, 0.1030, 0.0973));
    p += dot(p, p.yxz + 33.33);
    return fract((p.x + p.y) * p.z);
}

float noise(vec3 p) {
    vec3 cell = floor(p);
    vec3 f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    vec2 e = vec2(0.0, 1.0);
    float low = mix(mix(hash(cell), hash(cell + e.yxx), f.x),
                    mix(hash(cell + e.xyx), hash(cell + e.yyx), f.x), f.y);
    float high = mix(mix(hash(cell + e.xxy), hash(cell + e.yxy), f.x),
                     mix(hash(cell + e.xyy), hash(cell + e.yyy), f.x), f.y);
    return mix(low, high, f.z);
}

float spot(vec3 p, vec3 centre, float size) {
    vec3 d = (p - centre) / size;
    return exp(-dot(d, d));
}

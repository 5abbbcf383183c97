// An eyeball: its picture projected along the gaze, wet, in the shadow of its lids.
uniform sampler2D iris;
uniform vec4 iris_place;    // centre and radius in the texture, then the iris' half angle
uniform vec3 eye_centre;
uniform vec3 lid_points[24];

// The cornea bulges, so that the key light glints nearer to the pupil than on a ball.
const vec3 GLINT = normalize(vec3(0.17, 0.15, 1.0));

void main() {
    vec3 d = normalize(vec3(rest_position.x - sign(rest_position.x) * eye_centre.x, rest_position.yz - eye_centre.yz));
    float a = acos(clamp(d.z, -1.0, 1.0)) / iris_place.w;
    vec2 across = d.xy / max(length(d.xy), 1e-4);
    vec2 at = iris_place.xy + across * iris_place.z * min(a, 2.45);
    vec3 albedo = to_linear(texture(iris, at).rgb);
    float white = smoothstep(1.0, 1.15, a);
    // Squared for linear light, brown irises would be red.
    albedo = mix(albedo, vec3(dot(albedo, vec3(0.4, 0.45, 0.15))), 0.35 * (1.0 - white));
    albedo *= mix(1.30, 1.55, white);
    albedo = mix(albedo, vec3(0.50, 0.22, 0.19), 0.55 * smoothstep(1.7, 3.0, a));
    vec3 n = normalize(world_normal);
    float lid = 1.0;
    for (int i = 0; i < 24; i++) lid = min(lid, length(world_position - lid_points[i]));
    float shadow = mix(0.30, 1.0, smoothstep(0.004, 0.052, lid));
    vec3 light = light_on(n, vec2(0.85, 0.95), vec3(0.35)) * shadow;
    float glint = smoothstep(0.9958, 0.9976, dot(n, GLINT));
    float second = smoothstep(0.9975, 0.9990, dot(n, normalize(vec3(-0.45, -0.10, 1.0))));
    vec3 wet = vec3(0.95 * glint + 0.25 * second) * smoothstep(0.3, 0.45, shadow);
    wet += 0.05 * shine_on(n, 12.0) * shadow;
    finish(albedo * light + wet, 1.0, n);
}

// Skin from its texture: light that goes in reddens where shadow begins.
uniform sampler2D skin;
uniform vec3 tint;
uniform int lip_part;
uniform int mouth_part;
uniform vec2 neck_end;

void main() {
    if (rest_position.y < neck_end.x + neck_end.y * rest_position.x * rest_position.x) discard;
    vec3 n = normalize(world_normal);
    vec3 albedo = to_linear(texture(skin, place).rgb) * tint;
    float inner = face_kind.x == mouth_part ? 1.0 : 0.0;
    float deep = smoothstep(0.28, 0.41, rest_position.z);
    albedo = mix(albedo, vec3(0.30, 0.07, 0.06) * mix(0.05, 1.0, deep), inner);
    vec3 light = light_on(n, open_sky, vec3(0.42, 0.20, 0.14) * (1.0 - inner));
    float wet = face_kind.x == lip_part ? 0.085 : 0.035;
    vec3 shine = vec3(wet * shine_on(n, 18.0)) * open_sky.y;
    finish(albedo * light * 0.98 + shine, 1.0, n);
}

//! Pictures that WeChat would refuse, made such that it takes them: only where a plan says `optimize: true`. The same bytes
//! in give the same bytes out.

use std::io::Cursor;

use image::{
    DynamicImage, ExtendedColorType, ImageEncoder as _, ImageFormat, ImageReader, Limits,
    codecs::{jpeg::JpegEncoder, png},
    imageops::FilterType,
};

use crate::limits;

/// Widths that are tried after the picture's own; a phone shows an article 1,080 pixels wide.
const WIDTHS: &[u32] = &[1440, 1080, 720];
/// Qualities of JPEG that are tried for each width.
const QUALITIES: &[u8] = &[85, 75, 60];

/// A picture in new bytes, and what was done with it, in words; none if it cannot be read, or never fits.
pub(super) fn fit(bytes: &[u8], types: &[&str], most: u64) -> Option<(Vec<u8>, String)> {
    let format = match super::content_type(bytes)? {
        "image/png" => ImageFormat::Png,
        "image/jpeg" => ImageFormat::Jpeg,
        "image/webp" => ImageFormat::WebP,
        _ => return None,
    };
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut bounds = Limits::default();
    (bounds.max_image_width, bounds.max_image_height) = (Some(limits::IMAGE_SIDE_MAX), Some(limits::IMAGE_SIDE_MAX));
    bounds.max_alloc = Some(limits::OPTIMIZE_ALLOC_MAX);
    reader.limits(bounds);
    let picture = reader.decode().ok()?;
    let (width, height) = (picture.width(), picture.height());
    let clear = picture.color().has_alpha() && picture.to_rgba8().pixels().any(|pixel| pixel.0[3] < 255);
    // What is drawn stays sharp and what is see-through stays so; photographs are smaller as JPEG.
    let keep_png = types.contains(&"image/png") && (clear || format == ImageFormat::Png);
    let said = |encoded: &[u8], kind: &str, size: (u32, u32)| {
        let (before, now) = (bytes.len(), encoded.len());
        let from = format!("{format:?}").to_lowercase();
        format!("{from} {width}×{height}, {before} bytes, to {kind} {}×{}, {now} bytes", size.0, size.1)
    };
    for wide in std::iter::once(width).chain(WIDTHS.iter().copied().filter(|wide| *wide < width)) {
        let tall = u32::try_from((u64::from(height) * u64::from(wide)).div_ceil(u64::from(width))).ok()?.max(1);
        let scaled = match wide == width {
            true => picture.clone(),
            false => picture.resize_exact(wide, tall, FilterType::CatmullRom),
        };
        if keep_png && let Some(encoded) = as_png(&scaled, clear).filter(|encoded| (encoded.len() as u64) < most) {
            let said = said(&encoded, "png", (wide, tall));
            return Some((encoded, said));
        }
        for quality in QUALITIES.iter().filter(|_| !clear || !keep_png) {
            if let Some(encoded) = as_jpeg(&scaled, *quality).filter(|encoded| (encoded.len() as u64) < most) {
                let said = said(&encoded, &format!("jpeg (quality {quality})"), (wide, tall));
                return Some((encoded, said));
            }
        }
    }
    None
}

fn as_png(picture: &DynamicImage, clear: bool) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    let encoder = png::PngEncoder::new_with_quality(&mut out, png::CompressionType::Best, png::FilterType::Adaptive);
    let (width, height) = (picture.width(), picture.height());
    match clear {
        true => encoder.write_image(picture.to_rgba8().as_raw(), width, height, ExtendedColorType::Rgba8),
        false => encoder.write_image(picture.to_rgb8().as_raw(), width, height, ExtendedColorType::Rgb8),
    }
    .ok()?;
    Some(out)
}

/// As JPEG, on white where it is see-through.
fn as_jpeg(picture: &DynamicImage, quality: u8) -> Option<Vec<u8>> {
    let mut plain = picture.to_rgb8();
    if picture.color().has_alpha() {
        for (pixel, over) in plain.pixels_mut().zip(picture.to_rgba8().pixels()) {
            let alpha = u32::from(over.0[3]);
            for (channel, value) in pixel.0.iter_mut().zip(over.0) {
                *channel = u8::try_from((u32::from(value) * alpha + 255 * (255 - alpha)) / 255).unwrap_or(u8::MAX);
            }
        }
    }
    let mut out = Vec::new();
    JpegEncoder::new_with_quality(&mut out, quality).encode_image(&plain).ok()?;
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture that does not compress.
    fn noise(width: u32, height: u32) -> DynamicImage {
        let mut state = 7u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        };
        DynamicImage::ImageRgb8(image::RgbImage::from_fn(width, height, |_, _| image::Rgb([next(), next(), next()])))
    }

    fn webp(picture: &DynamicImage) -> Vec<u8> {
        let mut out = Vec::new();
        picture.write_to(&mut Cursor::new(&mut out), ImageFormat::WebP).expect("encodes");
        out
    }

    #[test]
    fn webp_becomes_what_is_taken() {
        let types = ["image/jpeg", "image/png"];
        let (bytes, said) = fit(&webp(&noise(40, 30)), &types, 1 << 20).expect("fits");
        assert_eq!(super::super::content_type(&bytes), Some("image/jpeg"));
        assert!(said.starts_with("webp 40×30, ") && said.contains("to jpeg (quality 85) 40×30"), "{said}");
        let clear = DynamicImage::ImageRgba8(image::RgbaImage::from_pixel(9, 9, image::Rgba([255, 0, 0, 100])));
        let (bytes, _) = fit(&webp(&clear), &types, 1 << 20).expect("fits");
        assert_eq!(super::super::content_type(&bytes), Some("image/png"));
        assert_eq!(super::super::dimensions(&bytes), Some((9, 9)));
        // A thumbnail cannot be see-through.
        let (bytes, _) = fit(&webp(&clear), &["image/jpeg"], 1 << 16).expect("fits");
        assert_eq!(super::super::content_type(&bytes), Some("image/jpeg"));
    }

    #[test]
    fn large_pictures_become_smaller_and_always_the_same() {
        let large = as_png(&noise(120, 100), false).expect("encodes");
        assert!(large.len() > 30_000, "{}", large.len());
        let once = fit(&large, &["image/jpeg", "image/png"], 20_000).expect("fits");
        assert!(once.0.len() < 20_000 && once.1.contains("120×100"), "{}", once.1);
        assert_eq!(Some(once), fit(&large, &["image/jpeg", "image/png"], 20_000));
        // Wider ones lose width before they are refused.
        let wide = as_png(&noise(1500, 16), false).expect("encodes");
        let (bytes, said) = fit(&wide, &["image/jpeg"], 24_000).expect("fits");
        assert!(bytes.len() < 24_000 && super::super::dimensions(&bytes).is_some_and(|size| size.0 < 1500), "{said}");
        assert_eq!(fit(&large, &["image/jpeg"], 100), None);
        assert_eq!(fit(b"GIF89a\x03\0\x02\0", &["image/jpeg"], 1 << 20), None);
        assert_eq!(fit(&large[..500], &["image/jpeg"], 1 << 20), None);
    }
}
